// Asks whole, streamed and wrongly, and prints as one line of JSON what came of it.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0 });
const asked = { model: "auto", messages: [{ role: "user", content: "hello" }] };
const { data, response } = await client.chat.completions.create(asked).withResponse();
let text = "";
for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
  text += chunk.choices[0]?.delta?.content ?? "";
}
const wrong = await client.chat.completions.create({ ...asked, model: "nobody" }).catch((error) => error);
console.log(
  JSON.stringify({
    whole: data.choices[0].message.content,
    model: response.headers.get("x-paretogate-model"),
    text,
    error: [wrong instanceof OpenAI.NotFoundError, wrong.code],
  }),
);
