package alert

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cutset-dev/cutset/executor"
)

// ErrCritical matches the error of Report.Flush.
var ErrCritical = errors.New("alert: critical alert")

// Entry is one line of a test report.
type Entry struct {
	// Name is the alert's message.
	Name string
	// Always says that it is shown for passed specs too (tier high and critical).
	Always bool
	// Alert is the whole of it, for JSON and JUnit reports.
	Alert executor.Alert
}

// Report collects alerts by scope (see executor.WithScope) until they are flushed into the report of that
// scope's test spec. A test framework's own function, such as Ginkgo's AddReportEntry, attaches to
// whatever spec runs at that moment, and must not be called between specs; alerts come from other goroutines,
// at any time. So: commands of a spec get a context with its scope, and the spec's clean-up flushes that scope.
// It is an executor.Sink.
type Report struct {
	mu      sync.Mutex
	entries map[string][]Entry
	dropped map[string]int
}

// maxEntries bounds what is kept for one scope.
const maxEntries = 256

// NewReport makes an empty collection.
func NewReport() *Report {
	return &Report{entries: make(map[string][]Entry), dropped: make(map[string]int)}
}

// Alert keeps a. Of tier low, only given-up commands are kept.
func (r *Report) Alert(a executor.Alert) {
	if a.Tier == executor.TierLow && a.Event != executor.EventGivenUp {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.entries[a.Scope]) >= maxEntries && a.Tier < executor.TierCritical {
		r.dropped[a.Scope]++
		return
	}
	r.entries[a.Scope] = append(r.entries[a.Scope], Entry{Name: a.Message, Always: a.Tier >= executor.TierHigh, Alert: a})
}

// Flush hands the entries of a scope to add, oldest first, and forgets them. Call executor.Flush before it, so
// that nothing is still on its way. The error, if there were critical alerts, is text for a failure, and
// matches ErrCritical. Alerts without a scope, such as those of a full quarantine, have the scope "".
func (r *Report) Flush(scope string, add func(Entry)) error {
	r.mu.Lock()
	entries, dropped := r.entries[scope], r.dropped[scope]
	delete(r.entries, scope)
	delete(r.dropped, scope)
	r.mu.Unlock()
	var errs []error
	for _, e := range entries {
		add(e)
		if e.Alert.Tier == executor.TierCritical {
			errs = append(errs, fmt.Errorf("%w: %s: %s", ErrCritical, e.Name, e.Alert.Err))
		}
	}
	if dropped > 0 {
		add(Entry{Name: fmt.Sprintf("%d more alerts", dropped), Alert: executor.Alert{Scope: scope, Count: dropped}})
	}
	return errors.Join(errs...)
}

// Scopes lists the scopes that have entries, for a final flush.
func (r *Report) Scopes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]string, 0, len(r.entries))
	for scope := range r.entries {
		out = append(out, scope)
	}
	return out
}
