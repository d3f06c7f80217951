import { deadlines } from '../deadline'
import { ProviderUnavailable } from './provider'

/** Throws {@link ProviderUnavailable} at the end of the time: what became of the requests is then unknown. */
export const withDeadline = deadlines((message) => new ProviderUnavailable(message))
