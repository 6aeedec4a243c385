package verdict

import (
	"cmp"
	"slices"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

// event is what an instance's log told, at a time by the log's clock.
type event struct {
	history.Event
	at time.Duration
}

// failover splits the time from the injection until another instance served the shard into what it was spent with. It is nil where none did
// before the heal, or where no log says when.
func (e *Evidence) failover(shard int) *Failover {
	active, from := e.between(history.Inject, history.Heal), e.rolesBefore[shard]
	if from == "" || active.length() <= 0 {
		return nil
	}
	for _, promoted := range e.told(shard, history.Promoted, active) {
		locks := e.told(shard, history.Locked, active)
		at := slices.IndexFunc(locks, func(l event) bool { return l.Instance == promoted.Instance })
		if at < 0 || promoted.Instance == from {
			continue
		}
		served, ok := e.firstAcknowledged(shard, promoted, active)
		if !ok {
			continue
		}
		// Logs are written a moment after what they tell of, and one by one: what came first did not end later.
		left := min(promoted.at, served)
		locked := min(locks[at].at, left)
		whole := interval{active.from, served}
		f := &Failover{
			From: from, To: promoted.Instance, Detect: locked - active.from, Promote: left - locked, Serve: served - left,
			Total: whole.length(), TotalNormalized: e.normalize(whole),
		}
		if back := e.between(history.Healed, history.Redundant); back.length() > 0 {
			f.Redundancy = back.length()
		}
		return f
	}
	return nil
}

// told are the events of that name in the window, in the order of their times.
func (e *Evidence) told(shard int, name history.EventName, window interval) (events []event) {
	for _, ev := range e.events {
		if ev.Shard == shard && ev.Name == name && ev.at >= window.from && ev.at <= window.to {
			events = append(events, ev)
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return events
}

// firstAcknowledged is when a client first had a write acknowledged by the promoted instance, or, where it is not known whose address that
// was, when one was begun after the promotion and acknowledged by somebody.
func (e *Evidence) firstAcknowledged(shard int, promoted event, window interval) (first time.Duration, ok bool) {
	for server, acks := range e.acks[shard] {
		instance := e.instanceAt(shard, server)
		for _, a := range acks {
			by := instance == promoted.Instance || instance == "" && a.from >= promoted.at
			if by && a.to >= window.from && a.to <= window.to && (!ok || a.to < first) {
				first, ok = a.to, true
			}
		}
	}
	return first, ok
}
