import tailwindcss from '@tailwindcss/vite'
import { tanstackRouter } from '@tanstack/router-plugin/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'
import { routes } from './scripts/routes.mjs'

// `npm run dev` shows the pages over a server that runs already. The token goes into the requests of this proxy, and never
// into a page: sign in for real with PLIMSOLL_TOKEN unset.
const server = process.env.PLIMSOLL_SERVER ?? 'http://127.0.0.1:7878'
const token = process.env.PLIMSOLL_TOKEN
const to = {
  target: server,
  changeOrigin: true,
  // The API takes no request that names another page's origin.
  headers: { origin: server, ...(token ? { authorization: `Bearer ${token}` } : {}) },
}
const proxy = { '/api': to, '/auth': to, '/openapi.json': to, '/healthz': to, '/readyz': to }

export default defineConfig({
  plugins: [tanstackRouter(routes), react(), tailwindcss()],
  resolve: { alias: { '@': new URL('./src', import.meta.url).pathname } },
  build: {
    outDir: 'dist/files',
    emptyOutDir: true,
    manifest: true,
    license: { fileName: 'NOTICES.md' },
    // Nothing of a page is written into it: the content security policy allows files alone.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // How large a page may be is decided in scripts/budget.mjs.
    chunkSizeWarningLimit: 1000,
    // What the overview needs is one file: a browser asks for six at a time, and each of forty small ones costs it more than its bytes.
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ name: 'main', test: /\/src\/(main|routes\/_app(\/index)?)\.tsx$/ }] } },
    },
  },
  worker: { format: 'es' },
  server: { proxy },
  preview: { proxy },
  test: {
    environment: 'happy-dom',
    include: ['test/**/*.test.{ts,tsx}', 'src/**/*.test.{ts,tsx}'],
    setupFiles: ['test/setup.ts'],
    restoreMocks: true,
    testTimeout: 60_000,
  },
})
