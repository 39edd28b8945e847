// Libraries for JavaScript against a service: each asks something, and says what it understood.
import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { generateObject, generateText, streamText, tool, stepCountIs } from "ai";
import OpenAI from "openai";
import { z } from "zod";

const url = process.env.MOTET_URL;
const said = [{ role: "user", content: "good day" }];

async function openai() {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
  const whole = await client.chat.completions.create({ model: "echo", messages: said });
  assert.equal(whole.choices[0].message.content, "good day");
  let text = "";
  for await (const chunk of await client.chat.completions.create({ model: "echo", messages: said, stream: true }))
    text += chunk.choices[0]?.delta?.content ?? "";
  assert.equal(text, "good day");
  const response = await client.responses.create({ model: "echo", input: "good day" });
  assert.equal(response.output_text, "good day");
  const next = await client.responses.create({ model: "echo", input: "again", previous_response_id: response.id });
  assert.equal(next.output_text, "again");
  text = "";
  for await (const event of await client.responses.create({ model: "echo", input: "good day", stream: true }))
    if (event.type === "response.output_text.delta") text += event.delta;
  assert.equal(text, "good day");
}

async function ai() {
  const theirs = createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
  const claude = createAnthropic({ baseURL: `${url}/v1`, apiKey: "none" });
  for (const speak of [theirs.chat, theirs.responses, claude]) {
    assert.equal((await generateText({ model: speak("echo"), prompt: "good day" })).text, "good day");
    const stream = streamText({ model: speak("echo"), prompt: "good day" });
    assert.equal(await stream.text, "good day");
    const doubled = [];
    const double = tool({
      description: "Double a number.",
      inputSchema: z.object({ number: z.number() }),
      execute: async ({ number }) => (doubled.push(number), 2 * number),
    });
    const prompt = "double 21 please";
    const told = await generateText({ model: speak("obliging"), prompt, tools: { double }, stopWhen: stepCountIs(3) });
    assert.deepEqual([doubled, told.text], [[21], "42"]);
  }
  const schema = z.object({ width: z.number() });
  const made = await generateObject({ model: theirs.chat("obliging"), schema, prompt: "a box of width 7" });
  assert.deepEqual(made.object, { width: 7 });
}

await { openai, ai }[process.argv[2]]();
