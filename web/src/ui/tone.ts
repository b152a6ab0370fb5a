/** What a colour means. Never shown by colour alone: a word and an icon stand beside it. */
export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'idle'

export const ink: Record<Tone, string> = {
  good: 'text-good',
  busy: 'text-busy',
  warn: 'text-warn',
  bad: 'text-bad',
  idle: 'text-idle',
}

export const soft: Record<Tone, string> = {
  good: 'border-good-line bg-good-soft text-good',
  busy: 'border-busy-line bg-busy-soft text-busy',
  warn: 'border-warn-line bg-warn-soft text-warn',
  bad: 'border-bad-line bg-bad-soft text-bad',
  idle: 'border-idle-line bg-idle-soft text-idle',
}

export const solid: Record<Tone, string> = {
  good: 'bg-good',
  busy: 'bg-busy',
  warn: 'bg-warn',
  bad: 'bg-bad',
  idle: 'bg-edge',
}
