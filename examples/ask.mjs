// The OpenAI SDK for Node with another baseURL. Needs: npm install openai
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: process.env.PARETOGATE_URL ?? "http://localhost:8080/v1",
  apiKey: process.env.PARETOGATE_API_KEY ?? "none",
});

const { data, response } = await client.chat.completions
  .create({
    model: "auto",
    messages: [{ role: "user", content: "What is 7 plus 5?" }],
    routing: { min_quality: 0.5 }, // optional, for this query alone
  })
  .withResponse();
console.log(`${response.headers.get("x-paretogate-model")} answered:`, data.choices[0].message.content);

const stream = await client.chat.completions.create({
  model: "auto",
  messages: [{ role: "user", content: "Count to three." }],
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
console.log();
