import { createFileRoute } from '@tanstack/react-router'
import { Invitation } from '@/features/invitation'

export const Route = createFileRoute('/invitation')({ component: () => <Invitation title="You are invited" /> })
