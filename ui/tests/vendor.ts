// A model vendor in OpenAI's form: it answers every question with its own last words, and counts tokens.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Vendor {
  url: string;
  close(): void;
}

interface Asked {
  model: string;
  messages: { content: string }[];
}

export async function startVendor(): Promise<Vendor> {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      response.setHeader("content-type", "application/json");
      response.end(
        JSON.stringify(
          request.method === "POST" ? answer(JSON.parse(body) as Asked) : { object: "list", data: [] },
        ),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/v1`, close: () => server.close() };
}

function answer({ model, messages }: Asked): unknown {
  const content = `You said: ${messages.at(-1)?.content ?? ""}`;
  const [prompt, completion] = [900, Math.ceil(content.length / 4)];
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: Math.floor(Date.now() / 1000),
    model,
    choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content } }],
    usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
  };
}
