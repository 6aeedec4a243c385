// Package executor runs commands that may hang, without ever hanging itself.
//
// A command belongs to a class. The class has a weight, and the weight decides nearly everything:
// the order in which commands start, how many of them run in parallel, how many slots nobody else may
// take, how long one attempt may last, how often it is tried again, what is refused first under
// load, and how loudly a command that was given up is reported.
//
// What callers may rely on:
//
//   - [Submit] never blocks. It always returns a [Future], and every Future completes: with the
//     command's result, or with an [*Error] that says what was attempted, on what, and why it ended.
//   - A command that ignores its context loses its slot. At its deadline its context is cancelled and
//     its kill hook is called; one grace period later it is abandoned: the caller gets [ErrAbandoned],
//     the slot is usable again, and the goroutine that is left behind is counted in a quarantine that
//     is bounded per class and per target, until the transport lets go.
//   - A class whose head waited longer than Class.StarveAfter is served next, once per StarveAfter,
//     whatever the weights say. So with k classes the head of any class starts within
//     StarveAfter + k*(Timeout.Max+Grace)/limit, and with a reserve of its own within
//     (Timeout.Max+Grace)/Reserve independently of all others.
//   - Retries wait outside of slots, are bounded by a ratio of the class's requests, and get fewer, not
//     more, when the machine is short of CPU, memory or I/O.
//   - Every command that was given up causes exactly one [Alert], at the tier of its class. Refusals
//     (queue full, shed, quarantine, stuck target) cause one alert per episode.
//
// There is one mutex and no dispatcher goroutine: whoever frees a slot picks what runs next. No user
// code, no I/O and no logging happens while the mutex is held. One timer serves all deadlines.
//
// The design follows "non-blocking reconciliation of database clusters by a cloud-native Postgres
// operator" (weighted pool, resource-weighted timeout and retry, resource monitor, alerts by weight);
// timeout learning is that of RFC 6298, with Karn's rule.
//
// Transports live in sub-packages: executor/local (processes of this host), executor/sqlconn
// (PostgreSQL connections), executor/podexec (commands in Kubernetes pods). The resource monitor is
// executor/resource, that of the nodes of a Kubernetes cluster executor/resource/nodemetrics. Alert sinks
// are in executor/alert, Prometheus metrics in executor/metrics. The tests that hold the fault scenarios
// are listed in scenarios_test.go.
package executor
