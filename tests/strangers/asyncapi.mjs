// Reads the AsyncAPI document whose path is the argument; prints its messages by name. Exit code 1 and what is wrong with it
// where it is no valid one.
import { fromFile, Parser } from '@asyncapi/parser';

const parser = new Parser();
const { document, diagnostics } = await fromFile(parser, process.argv[2]).parse();
const faults = diagnostics.filter(({ severity }) => severity <= 1);
for (const { code, message, path } of faults) {
  console.error(`${path.join('.')}: ${message} [${code}]`);
}
if (!document || faults.length > 0) process.exit(1);
const messages = document.allMessages().all().map((message) => ({
  name: message.name(),
  headers: message.headers()?.json(),
  payload: message.payload()?.json() !== undefined,
}));
console.log(JSON.stringify(messages));
