export default function OperatorPage(_: { session: unknown }) { return null; }
