# Opens the gateway to who has an account there.

.body as $sent
| if $sent.grant_type == "client_credentials" and $sent.client_id == $settings.client_id
    and $sent.client_secret == $settings.client_secret
  then
    {
      body: {access_token: $id, token_type: "Bearer", expires_in: $settings.token},
      rows: {The: [{access_token: $id, until: (($now | epoch_ms) + $settings.token * 1000)}]}
    }
  else {status: 401, body: {error: "invalid_client"}} end
