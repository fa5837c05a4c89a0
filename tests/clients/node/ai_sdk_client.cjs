// The AI SDK with its providers for OpenAI, Anthropic, Google and servers like OpenAI's: texts, streams, tools in
// steps, objects.
"use strict";

const { generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } = require("ai");
const { createAnthropic } = require("@ai-sdk/anthropic");
const { createGoogleGenerativeAI } = require("@ai-sdk/google");
const { createOpenAI } = require("@ai-sdk/openai");
const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");
const { ANSWER, CALLED, PROMPT, SCHEMA, check, equal, run } = require("./checks.cjs");

const tools = () =>
  Object.fromEntries(
    ["now", "tomorrow"].map((name, at) => [
      name,
      tool({
        description: `Weather ${name}`,
        inputSchema: jsonSchema(SCHEMA),
        execute: async () => ["sun", "rain"][at],
      }),
    ]),
  );

async function converse(name, model) {
  const common = { model, maxRetries: 0, maxOutputTokens: 4000 };
  const plain = await generateText({ ...common, prompt: PROMPT });
  equal(`${name}: text`, plain.text, ANSWER);
  check(`${name}: usage`, plain.usage.inputTokens > 0 && plain.usage.outputTokens > 0, plain.usage);
  const errors = [];
  const stream = streamText({ ...common, prompt: PROMPT, onError: ({ error }) => errors.push(String(error)) });
  check(`${name}: streamed`, (await stream.text) === ANSWER, errors);
  const stop = stepCountIs(3);
  const stepped = await generateText({ ...common, prompt: PROMPT, tools: tools(), stopWhen: stop });
  equal(`${name}: two steps`, stepped.steps.length, 2);
  equal(`${name}: calls`, stepped.steps[0].toolCalls.map((call) => call.input), [CALLED, CALLED]);
  const answered = stepped.text.includes("sun") && stepped.text.includes("rain");
  check(`${name}: results arrive`, answered, stepped.text);
  // The second turn of a conversation repeats what the vendor said in the first.
  const first = { role: "user", content: PROMPT };
  const messages = [first, ...plain.response.messages, first];
  const again = await generateText({ ...common, messages });
  equal(`${name}: a second turn`, again.text, ANSWER);
  const { object } = await generateObject({ ...common, prompt: PROMPT, schema: jsonSchema(SCHEMA) });
  equal(`${name}: object`, object, CALLED);
}

run(async (options) => {
  const [apiKey, baseURL] = [options.key, `${options.base}/v1`];
  const openai = createOpenAI({ apiKey, baseURL });
  // Responses are this provider's default.
  await converse("openai", openai(options.openai));
  await converse("openai.chat", openai.chat(options.openai));
  await converse("anthropic", createAnthropic({ apiKey, baseURL })(options.anthropic));
  const google = createGoogleGenerativeAI({ apiKey, baseURL: `${options.base}/v1beta` });
  await converse("google", google(options.google));
  const promises = { includeUsage: true, supportsStructuredOutputs: true };
  const compatible = createOpenAICompatible({ name: "pas", apiKey, baseURL, ...promises });
  await converse("openai-compatible", compatible(options.compatible));
});
