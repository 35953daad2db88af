"""A stranger on the province's broker: pika and the CloudEvents package, and nothing of this house but its schemas.

    stranger.py hear URL COUNT      hears so many events, each checked; prints one JSON line for each, and first `ready`
    stranger.py hear URL every      the same until every type that the schemas name has come
    stranger.py say URL STORE FILE  says what nobody should say, after the event in FILE (a line of `hear`), as the store
                                    STORE; prints a JSON line with name and id for each

Exit codes: 0 done, 1 an event is not what the schemas say.
"""

import copy
import datetime
import json
import pathlib
import sys
import urllib.parse

import jsonschema
import pika
import yaml
from cloudevents.core.bindings.amqp import AMQPMessage, from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from referencing import Registry, Resource

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"
EVENTS = "lienthong.events"


def validators():
    """By type of event, what checks the data; and what checks the headers."""
    documents = [json.loads(path.read_text()) for path in [SCHEMAS / "dossier.schema.json", *SCHEMAS.glob("events/*.json")]]
    registry = Registry().with_resources((document["$id"], Resource.from_contents(document)) for document in documents)

    def validator(schema):
        return jsonschema.Draft202012Validator(
            schema, registry=registry, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
        )

    described = yaml.safe_load((SCHEMAS / "asyncapi.yaml").read_text())["components"]
    headers = validator(described["messageTraits"]["event"]["headers"])
    named = {message["name"] for message in described["messages"].values()}
    by_type = {document["title"]: (document["$id"], validator(document)) for document in documents[1:]}
    assert named == set(by_type), f"asyncapi.yaml and events/ name other types: {named ^ set(by_type)}"
    return by_type, headers


def connect(url):
    connection = pika.BlockingConnection(pika.URLParameters(url))
    return connection, connection.channel()


def check(properties, body, by_type, headers):
    """The event of a message, as JSON. Raises what is wrong with it."""
    assert properties.user_id, "the broker vouches for nobody"
    assert properties.delivery_mode == 2, "an event that a restart would lose"
    headers.validate(properties.headers)
    event = from_binary(
        AMQPMessage({"content-type": properties.content_type}, properties.headers, body), JSONFormat(), CloudEvent
    )
    attributes = event.get_attributes()
    assert properties.message_id == event.get_id()
    uri, data = by_type[event.get_type()]
    assert event.get_dataschema() == uri, f"{event.get_dataschema()} is not {uri}"
    data.validate(event.get_data())
    plain = {
        name: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime.datetime) else value
        for name, value in attributes.items()
    }
    return {**plain, "data": event.get_data(), "account": properties.user_id}


def hear(url, until):
    by_type, headers = validators()
    heard, missing = 0, set(by_type)
    connection, channel = connect(url)
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, EVENTS, "#")
    print("ready", flush=True)
    for method, properties, body in channel.consume(queue, inactivity_timeout=60):
        assert method, f"no more events came within a minute; after {heard} these never came: {missing}"
        key = method.routing_key.split(".")
        event = check(properties, body, by_type, headers)
        assert key[0] == event["source"].split("/")[2] and ".".join(key[3:]) == event["type"], method.routing_key
        print(json.dumps({**event, "key": method.routing_key}, ensure_ascii=False), flush=True)
        channel.basic_ack(method.delivery_tag)
        heard += 1
        missing.discard(event["type"])
        if (not missing) if until == "every" else heard == int(until):
            break
    connection.close()


def clock(hlc, days=0):
    """A later reading of the clock."""
    wall, counter = hlc.rsplit("-", 1)
    later = int(wall) + days * 86_400_000
    return f"{later:0{len(wall)}}-{int(counter) + 1:0{len(counter)}}"


def stamped(value, old, new, days):
    """The same data, written later."""
    if isinstance(value, dict):
        return {name: stamped(inner, old, new, days) for name, inner in value.items()}
    if isinstance(value, list):
        return [stamped(inner, old, new, days) for inner in value]
    return new if value == old else value


def cases(sound, store):
    """Name, attributes and data (or bytes) of everything that is said."""
    adapter = sound["source"].split("/")[2]
    plain = {name: value for name, value in sound.items() if name not in ("data", "account", "key")}

    def case(name, days=0, source=f"/{store}/{adapter}", **other):
        hlc = clock(sound["hlc"], days)
        attributes = {**plain, "id": f"{name}@{store}", "source": source, "hlc": hlc, **other}
        return name, attributes, stamped(copy.deepcopy(sound["data"]), sound["hlc"], hlc, days)

    name, attributes, _ = case("malformed")
    yield name, attributes, b'{"id": '
    name, attributes, data = case("without-time")
    yield name, {key: value for key, value in attributes.items() if key != "hlc"}, data
    # another store's name, by this account
    yield case("forged", source=sound["source"])
    # this adapter's name, under the key of another one
    yield case("under-another-key")
    # a register that this adapter has no right to
    name, attributes, data = case("not-its-own")
    registers = data.setdefault("registers", {})
    model = next(iter(registers.values()))
    registers["identity"] = {**model, "value": {"outcome": "matched"}}
    yield name, attributes, data
    yield case("a-year-ahead", days=365)
    yield case("stranger-adapter", source=f"/{store}/cadastre")
    # an adapter that the listening node hosts itself
    yield case("its-listeners", source=f"/{store}/office")
    # what a newer version of the bus may say: a type, an attribute, a register and a field that nobody here knows
    name, attributes, data = case("newer", type="vn.lienthong.dossier.archived", futureattribute="1")
    data["registers"]["applicant.household"] = {**data["registers"]["applicant.person"], "value": {"members": 4}}
    data["registers"]["procedure"]["value"]["future"] = "còn mới"
    yield name, attributes, data


def say(url, store, file):
    sound = json.loads(pathlib.Path(file).read_text())
    connection, channel = connect(url)
    channel.confirm_delivery()
    account = urllib.parse.urlsplit(url).username
    _, sector, procedure, *_ = sound["key"].split(".")
    for name, attributes, data in cases(sound, store):
        whole = {"hlc": sound["hlc"], **attributes, "time": datetime.datetime.fromisoformat(attributes["time"])}
        event = CloudEvent(whole, {} if isinstance(data, bytes) else data)
        message = to_binary(event, JSONFormat())
        headers = {key: value for key, value in message.application_properties.items()}
        # The binding of AMQP 1.0 has a type for times, which 0-9-1 has only in seconds.
        headers["cloudEvents_time"] = attributes["time"]
        if "hlc" not in attributes:
            del headers["cloudEvents_hlc"]
        properties = pika.BasicProperties(
            content_type="application/json", headers=headers, user_id=account, message_id=attributes["id"], delivery_mode=2
        )
        body = data if isinstance(data, bytes) else message.application_data
        adapter = "permits" if name == "under-another-key" else attributes["source"].split("/")[2]
        channel.basic_publish(EVENTS, f"{adapter}.{sector}.{procedure}.{attributes['type']}", body, properties)
        print(json.dumps({"name": name, "id": attributes["id"]}), flush=True)
    connection.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["hear", url, until]:
            hear(url, until)
        case ["say", url, store, file]:
            say(url, store, file)
        case _:
            sys.exit(__doc__)
