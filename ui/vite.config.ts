// How the application is built: one small entry, a chunk a page, nothing inlined (the CSP forbids it).
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

/** A running daemon's HMI port, for `npm run dev`; the other ports are called directly. */
const daemon = process.env["HMI_URL"] ?? "http://127.0.0.1:6101";

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    // A busy machine is no fault of the plugins.
    rolldownOptions: { checks: { bundlerTimings: false } },
  },
  server: {
    proxy: {
      "/api": {
        target: daemon,
        changeOrigin: true,
        // The daemon refuses pages of other origins; while developing, the proxy is its page.
        configure: (proxy) => proxy.on("proxyReq", (request) => request.removeHeader("origin")),
      },
    },
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
