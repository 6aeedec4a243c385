package framework

import (
	"slices"
	"sync"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/framework/history"
)

// ledger keeps what the executor did and what it gave up, for the history and for the report.
type ledger struct {
	record *history.Recorder

	mu       sync.Mutex
	alerts   []executor.Alert
	attempts []executor.AttemptRecord
}

// Alert implements [executor.Sink].
func (l *ledger) Alert(a executor.Alert) {
	l.record.Add(history.Record{Case: a.Scope, Alert: a})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alerts = append(l.alerts, a)
}

// attempt observes one attempt. Looks that were answered are left out: there are thousands, and they say nothing.
func (l *ledger) attempt(a executor.AttemptRecord) {
	if a.Class == "probe" && (a.Outcome == executor.OutcomeOK || a.Outcome == executor.OutcomeAnswer || a.Outcome == executor.OutcomeCancelled) {
		return
	}
	l.record.Add(history.Record{At: l.record.Since(a.Started), Case: a.Scope, Command: a})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = append(l.attempts, a)
}

// all returns what was kept so far, and the number of alerts by tier.
func (l *ledger) all() (alerts []executor.Alert, byTier map[string]int, attempts []executor.AttemptRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	byTier = map[string]int{}
	for _, a := range l.alerts {
		byTier[a.Tier.String()]++
	}
	return slices.Clone(l.alerts), byTier, slices.Clone(l.attempts)
}
