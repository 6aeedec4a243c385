package executor

import (
	"context"
	"log/slog"
	"time"
)

// What an alert is about.
const (
	// EventGivenUp: a command ended without success. Exactly one per such command.
	EventGivenUp = "given_up"
	// EventRefused: commands are refused because a queue is full. One per episode.
	EventRefused = "refused"
	// EventShed and EventShedEnd: a class is refused under load, and is not any more.
	EventShed    = "shed"
	EventShedEnd = "shed_end"
	// EventQuarantineFull and EventQuarantineOpen: hung commands closed a class; it is open again.
	EventQuarantineFull = "quarantine_full"
	EventQuarantineOpen = "quarantine_open"
	// EventTargetStuck and EventTargetOpen: hung commands closed a target for a class; it is open again.
	EventTargetStuck = "target_stuck"
	EventTargetOpen  = "target_open"
)

// Alert is one report. Tier decides by which means it is made.
type Alert struct {
	Time     time.Time `json:"time"`
	Tier     Tier      `json:"tier"`
	Class    string    `json:"class"`
	Command  string    `json:"command,omitempty"`
	Target   string    `json:"target,omitempty"`
	Scope    string    `json:"scope,omitempty"` // see WithScope
	Event    string    `json:"event"`
	Message  string    `json:"message"`
	Attempts int       `json:"attempts,omitempty"`
	Err      string    `json:"error,omitempty"`
	// Count is above 1 when a full queue made this alert stand for several of the same class, target and event.
	Count int `json:"count,omitempty"`
}

// Sink takes alerts. Each sink is called from one goroutine of its own, through a bounded queue: a slow
// or hanging sink delays nothing but itself. A sink must not submit commands to the executor whose
// alerts it takes: a failing command would alert for ever.
type Sink interface{ Alert(Alert) }

// SinkFunc is a function as a Sink.
type SinkFunc func(Alert)

// Alert calls f.
func (f SinkFunc) Alert(a Alert) { f(a) }

type slogSink struct{ logger *slog.Logger }

// NewSlogSink logs alerts at the level of their tier; see Tier.Level. nil means slog.Default(),
// looked up at each alert.
func NewSlogSink(logger *slog.Logger) Sink { return slogSink{logger} }

// Alert logs one record.
func (s slogSink) Alert(a Alert) {
	logger := s.logger
	if logger == nil {
		logger = slog.Default()
	}
	attrs := []slog.Attr{
		slog.String("event", a.Event), slog.String("class", a.Class), slog.String("tier", a.Tier.String()),
	}
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	add("command", a.Command)
	add("target", a.Target)
	add("scope", a.Scope)
	add("error", a.Err)
	if a.Attempts > 0 {
		attrs = append(attrs, slog.Int("attempts", a.Attempts))
	}
	if a.Count > 1 {
		attrs = append(attrs, slog.Int("count", a.Count))
	}
	logger.LogAttrs(context.Background(), a.Tier.Level(), a.Message, attrs...)
}

// sinkQueueLen bounds the alerts that wait for one sink.
const sinkQueueLen = 256

func newSinkQueue(s Sink) *outbox[Alert] {
	return newOutbox(sinkQueueLen, s.Alert, makeRoom)
}

// same reports whether two alerts may be told as one with a count.
func (a Alert) same(b Alert) bool {
	return a.Event == b.Event && a.Class == b.Class && a.Target == b.Target && a.Tier == b.Tier && a.Scope == b.Scope
}

// fold makes a stand for b, which is later, too.
func (a *Alert) fold(b Alert) {
	a.Count = max(a.Count, 1) + max(b.Count, 1)
	a.Command, a.Err, a.Time, a.Attempts, a.Message = b.Command, b.Err, b.Time, b.Attempts, b.Message
}

// makeRoom lets a full queue take a. First, the same trouble is told once, with a count. Where there is none, an
// alert of the lowest tier goes, the oldest, if that tier is below critical; among critical ones, a is told with one of
// the same class and event. So a critical alert is counted and delivered, never dropped. It returns the number of
// dropped alerts.
func makeRoom(items []Alert, a Alert) (out []Alert, dropped int) {
	for i := len(items) - 1; i >= 0; i-- {
		if items[i].same(a) {
			items[i].fold(a)
			return items, 0
		}
	}
	lowest := 0
	for i := range items {
		if items[i].Tier < items[lowest].Tier {
			lowest = i
		}
	}
	victim := items[lowest]
	for i := lowest + 1; i < len(items); i++ {
		if victim.same(items[i]) { // nothing is lost if the oldest is told with a later one
			items[i].Count = max(items[i].Count, 1) + max(victim.Count, 1)
			return append(append(items[:lowest], items[lowest+1:]...), a), 0
		}
	}
	if victim.Tier < TierCritical && victim.Tier <= a.Tier {
		return append(append(items[:lowest], items[lowest+1:]...), a), max(victim.Count, 1)
	}
	if a.Tier < TierCritical {
		return items, max(a.Count, 1)
	}
	for i := range items {
		if items[i].Event == a.Event && items[i].Class == a.Class {
			items[i].fold(a)
			items[i].Target, items[i].Scope = "several", ""
			return items, 0
		}
	}
	// Only critical (class, event) pairs get here, of which there are few.
	return append(items, a), 0
}

// alert hands a to all sinks, with the time. Mutex held; sinks' queues have their own, which is never held for long.
func (e *Executor) alert(a Alert) {
	a.Time = time.Now()
	for _, s := range e.sinks {
		s.push(a)
	}
}

// refusal is why a command is refused without having run.
type refusal uint8

const (
	reasonClosed refusal = iota
	reasonQueueFull
	reasonShed
	reasonQuarantine
	reasonTarget
	reasonCount
)

// episodeGap without refusals ends an episode of refusals.
const episodeGap = 10 * time.Second

type episode struct{ last instant }

// refuse completes a task that is not let in, or thrown out of its queue. Shedding, quarantine and stuck targets
// have alerted when they began; a full queue alerts here, once per episode.
func (e *Executor) refuse(t *task, why refusal, now instant) {
	l := t.level
	var err error
	var hint time.Duration
	switch why {
	case reasonClosed:
		err = ErrClosed
		l.stats.Closed++
	case reasonQueueFull:
		err, hint = ErrQueueFull, max(l.rtt.upper(), 100*time.Millisecond)
		l.stats.QueueFull++
		if ep := &l.episodes[why]; ep.last == 0 || now.sub(ep.last) > episodeGap {
			e.alert(Alert{
				Tier: max(l.Tier, TierNormal), Class: l.Name, Command: t.name, Event: EventRefused,
				Message: "queue of class " + l.Name + " is full; commands are refused", Err: err.Error(),
			})
		}
	case reasonShed:
		err, hint = ErrShed, shedLooks*tickEvery
		l.stats.Shed++
	case reasonQuarantine:
		err = ErrQuarantine
		l.stats.Quarantine++
	case reasonTarget:
		err, hint = ErrTargetStuck, max(t.target.probeAt.sub(now), 0)
		l.stats.TargetStuck++
	case reasonCount:
	}
	l.episodes[why].last = now
	phase := "submit"
	if t.attempts > 0 {
		phase = "retry"
	} else if t.enqueued != 0 {
		phase = "queue"
	}
	if t.attempts > 0 { // it had its chance, and is now given up
		e.giveUp(t, phase, joinLast(err, t.lastErr), now)
		return
	}
	failure := t.fail(phase, now, e.load.Scarcity, err)
	failure.RetryAfter = hint
	e.complete(t, nil, failure)
}
