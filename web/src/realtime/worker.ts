// Follows for all pages of a browser: however many there are, the server has one connection of them.
import type { Asked } from './messages'
import { Exchange } from './shared'

const exchange = new Exchange()

addEventListener('connect', (event) => {
  const [port] = (event as MessageEvent).ports
  if (!port) return
  port.addEventListener('message', ({ data }: MessageEvent<Asked>) => exchange.hear(port, data))
  // Newer browsers tell that a page is gone.
  port.addEventListener('close', () => exchange.forget(port))
  port.start()
})
