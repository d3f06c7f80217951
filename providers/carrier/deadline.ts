import { deadlines } from '../deadline'
import { CarrierUnavailable } from './carrier'

/** Throws {@link CarrierUnavailable} at the end of the time: what became of the requests is then unknown. */
export const withDeadline = deadlines((message) => new CarrierUnavailable(message))
