import '@testing-library/jest-dom/vitest'
import { cleanup, configure } from '@testing-library/react'
import { afterEach } from 'vitest'

// Whole pages take their time on a machine that is busy.
configure({ asyncUtilTimeout: 15_000 })

afterEach(cleanup)
