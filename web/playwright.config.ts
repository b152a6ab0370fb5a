// Whole flows in a real browser, over the real server: `scripts/web test`.
import { defineConfig } from '@playwright/test'
import type { WorkerOptions } from './e2e/fixtures'

const root = (process.getuid?.() ?? 1) === 0

export default defineConfig<object, WorkerOptions>({
  testDir: 'e2e',
  outputDir: '../target/e2e',
  // Each worker has one server. No second tries: a test that needs luck is a broken test.
  workers: 2,
  retries: 0,
  forbidOnly: true,
  // Several times what the longest takes on two busy cores: a slow machine is no failure. Below the ten minutes for which somebody
  // who has confirmed who they are is not asked again.
  timeout: 240_000,
  expect: { timeout: 60_000 },
  reporter: [['list']],
  use: {
    browserName: 'chromium',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        // Chromium has no sandbox for root, and containers have little shared memory.
        ...(root ? ['--no-sandbox', '--disable-dev-shm-usage'] : []),
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
    viewport: { width: 1280, height: 860 },
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    screenshot: 'only-on-failure',
    // A trace holds cookies and passwords: made on demand (`--trace on`), never kept by itself.
    trace: 'off',
  },
})
