import { h } from './shop.mjs'

/** Stripe wants it loaded from here, and nowhere else: it is what keeps cards away from the shop. */
const SCRIPT = 'https://js.stripe.com/v3'

/** Stripe's card field, in a frame of Stripe's: the shop sees a token, never the card. */
export async function stripeCard(publishableKey) {
  await load(SCRIPT)
  const stripe = window.Stripe(publishableKey)
  const card = stripe.elements().create('card', { hidePostalCode: true })
  const place = h('div', { class: 'card-field' })
  return {
    field: h('div', { role: 'group', 'aria-label': 'Card' }, 'Card', place),
    /** Once the field stands in the page. */
    mount: () => card.mount(place),
    async payment({ name, email }) {
      const { error, paymentMethod } = await stripe.createPaymentMethod({
        type: 'card',
        card,
        billing_details: { name, email },
      })
      if (error) throw new Error(error.message)
      return { provider: 'stripe', method: paymentMethod.id }
    },
  }
}

function load(src) {
  return new Promise((resolve, reject) => {
    const script = h('script', {
      src,
      onload: resolve,
      onerror: () => reject(new Error('Stripe could not be loaded.')),
    })
    document.head.append(script)
  })
}
