package framework

import (
	"sync"
	"time"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/framework/history"
)

// alerts collects what the executor gave up, and gives it to the spec in whose time it happened: a report
// entry that is made when the alert arrives would land in whatever spec runs by then.
type alerts struct {
	record *history.Recorder

	mu    sync.Mutex
	cases []caseTime // in order
	all   []caseAlert
}

type caseTime struct {
	id    string
	began time.Time
}

type caseAlert struct {
	Case  string         `json:"case,omitempty"`
	Alert executor.Alert `json:"alert"`
}

// begin says that what happens from now on belongs to the case.
func (a *alerts) begin(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cases = append(a.cases, caseTime{id, time.Now()})
}

// Alert implements [executor.Sink].
func (a *alerts) Alert(alert executor.Alert) {
	a.mu.Lock()
	defer a.mu.Unlock()
	entry := caseAlert{Alert: alert}
	for _, c := range a.cases {
		if !alert.Time.Before(c.began) {
			entry.Case = c.id
		}
	}
	a.all = append(a.all, entry)
	a.record.Add(history.Record{Case: entry.Case, Alert: alert})
}

// take returns the alerts of the case.
func (a *alerts) take(id string) []executor.Alert {
	a.mu.Lock()
	defer a.mu.Unlock()
	var taken []executor.Alert
	for _, entry := range a.all {
		if entry.Case == id {
			taken = append(taken, entry.Alert)
		}
	}
	return taken
}
