import newman from "newman";
import { accounts } from "./accounts.mjs";

const test = (...exec) => [{ listen: "test", script: { type: "text/javascript", exec } }];
const tokenRequest = (name, body, ...script) => ({
  name,
  request: {
    method: "POST",
    url: "{{token_url}}",
    header: [{ key: "Content-Type", value: "{{media_type}}" }],
    body: { mode: "raw", raw: body },
  },
  event: test(...script),
});
const collection = {
  info: { name: "emulator", schema: "https://schema.getpostman.com/json/collection/v2.1.0/collection.json" },
  item: [
    tokenRequest(
      "token",
      "{{body}}",
      'pm.test("token", () => pm.response.to.have.status(200));',
      'pm.collectionVariables.set("token", pm.response.json().access_token);',
    ),
    {
      name: "api",
      request: {
        method: "GET",
        url: "{{api}}",
        auth: { type: "bearer", bearer: [{ key: "token", value: "{{token}}", type: "string" }] },
        header: [{ key: "{{header}}", value: "{{value}}" }],
      },
    },
    tokenRequest("wrong secret", "{{wrong_body}}"),
  ],
};
newman.run({ collection, iterationData: accounts, reporters: [] }, (error, summary) => {
  const failures = summary?.run.failures.map((each) => each.error.message) ?? [];
  if (error || failures.length) throw new Error(String(error ?? failures));
  const shown = accounts.map((account, number) => {
    const mine = summary.run.executions.filter((each) => each.cursor.iteration === number);
    const [token, api, wrong] = mine.map((each) => each.response);
    return { name: account.name, token: token.json().access_token, status: api.code, error: wrong.text() };
  });
  console.log(JSON.stringify(shown));
});
