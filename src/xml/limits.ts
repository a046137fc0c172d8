export interface XmlLimits {
  /** Bytes of one element below the root, from the `<` of its start tag to the `>` of its end tag. */
  readonly bytes: number
  /** Elements within one, itself included. */
  readonly elements: number
  readonly depth: number
  /** Attributes of one start tag, namespace declarations included. */
  readonly attributes: number
  /** UTF-16 units of the name of an element or attribute, prefix included. */
  readonly nameLength: number
  /** UTF-16 units of one start tag, from its `<` to its `>`. */
  readonly startTag: number
  /** Bytes of white space in a row between elements; left out: any number. */
  readonly blank?: number
}

/** UTF-16 units up to the end of the root's start tag. */
export const prologLength = 10_000
