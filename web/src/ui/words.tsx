import { Code } from './code'

/** A text of the server's: what it puts between backticks is code. */
export function Words({ text }: { text: string }) {
  return text.split(/`([^`]+)`/).map((part, index) =>
    index % 2 === 1 ? (
      // The parts of a text never change their order.
      // oxlint-disable-next-line react/no-array-index-key
      <Code key={index}>{part}</Code>
    ) : (
      part
    ),
  )
}
