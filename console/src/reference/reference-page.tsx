export default function ReferencePage(_: { session: unknown; operation: string | undefined }) { return null; }
