import { once } from 'node:events'
import { createConnection } from 'node:net'
import { within } from '../clients/within.ts'

/** Whether somebody listens at this port of 127.0.0.1. */
export async function isListening(port: number): Promise<boolean> {
  const socket = createConnection(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.on('error', () => {}).destroy() // a reset may follow
  }
}

/** Resolves when nobody listens there: of a killed process the kernel closes one socket after the other. */
export async function silence(port: number): Promise<void> {
  const silent = async () => {
    while (await isListening(port));
  }
  await within(`the end of what listens at port ${port}`, silent())
}
