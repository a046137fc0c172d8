// @xmpp/client brings no types: this much of it is used here.
declare module '@xmpp/client' {
  import type { EventEmitter } from 'node:events'

  export interface XmlElement {
    readonly name: string
    readonly attrs: Record<string, string | undefined>
    getChild(name: string, xmlns?: string): XmlElement | undefined
    getChildren(name: string, xmlns?: string): XmlElement[]
    getChildText(name: string, xmlns?: string): string | null
    getNS(): string | undefined
    is(name: string, xmlns?: string): boolean
    toString(): string
  }

  export interface Jid {
    bare(): Jid
    toString(): string
  }

  export interface ClientOptions {
    readonly service: string
    readonly domain: string
    readonly username: string
    readonly password: string
    readonly resource?: string
    /** Milliseconds. */
    readonly timeout?: number
  }

  export interface Client extends EventEmitter {
    readonly jid: Jid | null
    readonly status: string
    readonly reconnect: { stop(): void }
    readonly iqCaller: { request(iq: XmlElement, timeout?: number): Promise<XmlElement> }
    start(): Promise<Jid>
    stop(): Promise<unknown>
    send(element: XmlElement): Promise<void>
    write(text: string): Promise<void>
    isSecure(): boolean
  }

  export function client(options: ClientOptions): Client
  export function xml(
    name: string,
    attrs?: Record<string, string | undefined>,
    ...children: (XmlElement | string)[]
  ): XmlElement
}
