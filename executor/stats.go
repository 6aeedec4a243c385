package executor

// ClassStats counts what happened to the commands of one class since New. All but the gauges only grow.
type ClassStats struct {
	Class  string `json:"class"`
	Weight int    `json:"weight"`
	Tier   Tier   `json:"tier"`

	// Gauges: how many wait (for a slot or their next attempt), run, and are abandoned but not back.
	Queued      int `json:"queued"`
	InFlight    int `json:"inFlight"`
	Quarantined int `json:"quarantined"`
	// QuarantinePeak is the most that were abandoned at the same time.
	QuarantinePeak int `json:"quarantinePeak"`
	// Shedding says that the class is refused now.
	Shedding bool `json:"shedding"`

	// Submitted = Succeeded + Answered + GivenUp + Cancelled + refused + what is still on its way,
	// with refused = QueueFull + Shed + Quarantine + TargetStuck + Closed, each only before a first attempt.
	Submitted int64 `json:"submitted"`
	Succeeded int64 `json:"succeeded"`
	Answered  int64 `json:"answered"`
	GivenUp   int64 `json:"givenUp"`
	Cancelled int64 `json:"cancelled"`

	// Attempts that started; Timeouts of them (with stalled and abandoned ones); Abandoned of those.
	Attempts  int64 `json:"attempts"`
	Timeouts  int64 `json:"timeouts"`
	Abandoned int64 `json:"abandoned"`
	// Late counts abandoned attempts that came back; what they brought was dropped.
	Late   int64 `json:"late"`
	Panics int64 `json:"panics"`
	// Retries were started, RetriesDenied were due but not affordable.
	Retries       int64 `json:"retries"`
	RetriesDenied int64 `json:"retriesDenied"`
	// Rescues counts starts out of weight order because the class was starving.
	Rescues int64 `json:"rescues"`

	QueueFull   int64 `json:"queueFull"`
	QueueWaits  int64 `json:"queueWaits"` // gave up waiting for a slot
	Shed        int64 `json:"shed"`
	Quarantine  int64 `json:"quarantine"`
	TargetStuck int64 `json:"targetStuck"`
	Closed      int64 `json:"closed"`
	// TargetsStuck counts how often a target became stuck.
	TargetsStuck int64 `json:"targetsStuck"`
}

// Stats is a snapshot of the executor.
type Stats struct {
	// Limit is the number of slots now, InFlight how many are taken.
	Limit    int     `json:"limit"`
	InFlight int     `json:"inFlight"`
	Scarcity float64 `json:"scarcity"`
	// Classes are ordered by falling weight.
	Classes []ClassStats `json:"classes"`
	// Alerts that sinks took, that full queues dropped, and panics of sinks; summed over the sinks.
	AlertsDelivered uint64 `json:"alertsDelivered"`
	AlertsDropped   uint64 `json:"alertsDropped"`
	SinkPanics      uint64 `json:"sinkPanics"`
	// RecordsDropped counts records that slow observers lost.
	RecordsDropped uint64 `json:"recordsDropped"`
}

// Class returns the counters of one class; ok is false for an unknown name.
func (s Stats) Class(name string) (stats ClassStats, ok bool) {
	for _, c := range s.Classes {
		if c.Class == name {
			return c, true
		}
	}
	return ClassStats{}, false
}

// Stats returns a consistent snapshot.
func (e *Executor) Stats() Stats {
	now := e.lock()
	out := Stats{Limit: e.limit, InFlight: e.inflight, Scarcity: e.load.Scarcity}
	for _, l := range e.levels {
		s := l.stats
		s.Queued, s.InFlight, s.Quarantined, s.Shedding = l.waiting(), l.inflight, l.quarantined, l.shed.on
		out.Classes = append(out.Classes, s)
	}
	e.unlock(now, false)
	for _, s := range e.sinks {
		delivered, dropped, panics := s.counts()
		out.AlertsDelivered += delivered
		out.AlertsDropped += dropped
		out.SinkPanics += panics
	}
	for _, r := range e.records {
		_, dropped, panics := r.counts()
		out.RecordsDropped += dropped
		out.SinkPanics += panics
	}
	return out
}
