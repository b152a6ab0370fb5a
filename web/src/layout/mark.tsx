/** The load line: a ring, and the line through it. */
export const Mark = ({ className }: { className?: string }) => (
  <svg viewBox="0 0 32 32" fill="none" stroke="currentColor" strokeWidth="3" strokeLinecap="round" className={className} aria-hidden>
    <circle cx="16" cy="16" r="9.4" />
    <path d="M3 16h26" />
  </svg>
)
