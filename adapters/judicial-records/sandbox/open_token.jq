# Gives out a bearer token by OAuth2 client credentials (RFC 6749, sections 4.4 and 5).

def wrong($status; $word): {status: $status, body: {error: $word}};

if .headers["content-type"] // "" | startswith("application/x-www-form-urlencoded") | not then wrong(400; "invalid_request")
elif .body.grant_type != "client_credentials" then wrong(400; "unsupported_grant_type")
elif .body.client_id != $settings.client_id or .body.client_secret != $settings.client_secret then
  wrong(401; "invalid_client")
else
  {
    body: {access_token: $id, token_type: "Bearer", expires_in: $settings.token},
    rows: {The: [{access_token: $id, until: (($now | epoch_ms) + $settings.token * 1000)}]}
  }
end
