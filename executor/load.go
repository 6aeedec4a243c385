package executor

import (
	"fmt"
	"math"
	"time"
)

// Load is how short the machine is of what commands need.
type Load struct {
	// Scarcity is 0 on an idle machine and 1 when the scarcest resource is used up.
	Scarcity float64 `json:"scarcity"`
	// Resource names the scarcest one, "" at 0.
	Resource string `json:"resource,omitempty"`
}

// Monitor tells the load. Load is called for every command: it must return a cached value at once, and
// be safe for concurrent use. See package executor/resource.
type Monitor interface{ Load() Load }

// TargetMonitor is a Monitor that knows the load of targets too, e.g. of the node that a pod runs on. That load
// stretches the timeouts of this target's commands only; "target" is put before its Resource. As with Load, the value
// must be a cached one.
type TargetMonitor interface {
	Monitor
	TargetLoad(target string) Load
}

// readTargetLoad is called without the mutex.
func (e *Executor) readTargetLoad(target string) Load {
	if e.targets == nil || target == "" {
		return Load{}
	}
	load := e.targets.TargetLoad(target)
	load.Scarcity = min(max(load.Scarcity, 0), 1)
	return load
}

func (e *Executor) readLoad() Load {
	if e.monitor == nil {
		return Load{}
	}
	load := e.monitor.Load()
	load.Scarcity = min(max(load.Scarcity, 0), 1)
	return load
}

// LoadFactor is 1+alpha*S: by how much this machine's scarcity S stretches what takes time, 1 (idle) to
// 1+alpha (with the default alpha: 4). It is the measure of load-normalized time: a wait that is
// given d on an idle machine should be given d*LoadFactor() on this one now.
func (e *Executor) LoadFactor() float64 { return 1 + e.tuning.Alpha*e.readLoad().Scarcity }

// Normalize stretches the wait budget d by the present LoadFactor. For a long wait, ask again in its
// course: load changes.
func (e *Executor) Normalize(d time.Duration) time.Duration {
	return time.Duration(float64(d) * e.LoadFactor())
}

// limits are the bounds of the dynamic limit.
type limits struct{ max, floor int }

// tickEvery is how often limit and shedding are looked at.
const tickEvery = time.Second

type loadTick struct {
	event
	last instant
}

func newLoadTick(now instant) loadTick { return loadTick{last: now} }

// shedState is whether a class refuses commands because of load.
type shedState struct {
	on   bool
	over int // consecutive looks above the threshold
	wait int // consecutive looks at which the class above waited too long for slots
}

// The hysteresis of shedding: how often the threshold must be seen, and how far below it ends.
const (
	shedLooks = 2
	shedBack  = .15
	// slowHead is the least wait of a queue's head that counts as too long.
	slowHead = time.Second
)

// tick adapts limit and shedding to the load: the limit goes down at once and up by one per second, since taking
// slots back late costs more than giving them back late. Mutex held.
func (e *Executor) tick(now instant) {
	scarcity := e.load.Scarcity
	want := int(math.Floor(float64(e.limits.max) * (1 - .75*scarcity)))
	want = min(max(want, e.limits.floor), e.limits.max)
	e.limit = min(e.limit, want)
	steps := int(now.sub(e.ticker.last) / tickEvery)
	if steps < 1 {
		return
	}
	e.ticker.last = now
	e.limit = min(want, e.limit+steps)
	for i, l := range e.levels {
		if i > 0 { // the heaviest class is never shed
			e.shedByLoad(l, e.levels[i-1], scarcity, now)
		}
	}
}

// shedByLoad starts or ends the refusal of one class; above is the next heavier class.
func (e *Executor) shedByLoad(l, above *level, scarcity float64, now instant) {
	s := &l.shed
	if l.ShedAt > 0 && scarcity >= l.ShedAt {
		s.over++
	} else {
		s.over = 0
	}
	if above.slow(now) {
		s.wait++
	} else {
		s.wait = 0
	}
	switch {
	case !s.on && l.ShedAt > 0 && (s.over >= shedLooks || s.wait >= shedLooks):
		s.on = true
		why := fmt.Sprintf("%s scarcity %.2f", e.load.Resource, scarcity)
		if s.over < shedLooks {
			why = "commands of class " + above.Name + " wait too long for a slot"
		}
		e.alert(Alert{
			Tier: max(l.Tier, TierNormal), Class: l.Name, Event: EventShed, Err: ErrShed.Error(),
			Message: fmt.Sprintf("class %s refuses commands: %s", l.Name, why),
		})
	case s.on && scarcity < l.ShedAt-shedBack && s.wait == 0:
		s.on = false
		e.alert(Alert{
			Tier: TierLow, Class: l.Name, Event: EventShedEnd,
			Message: fmt.Sprintf("class %s accepts commands again (%d shed so far)", l.Name, l.stats.Shed),
		})
	}
}

// slow reports whether the head of the queue waits for a slot that lighter classes may hold: longer than twice
// the time that its commands usually take, while its own cap is not the reason.
func (l *level) slow(now instant) bool {
	return l.queue.n > 0 && l.inflight < l.room() &&
		now.sub(l.queue.first.enqueued) > max(2*l.rtt.upper(), slowHead)
}

// armTick keeps looking at the load while that can change what waits, or who is refused.
func (e *Executor) armTick(now instant) {
	if e.monitor == nil || e.ticker.pos != 0 || e.closed && e.active == 0 {
		return
	}
	needed := false
	for _, l := range e.levels {
		needed = needed || l.queue.n > 0 || l.shed.on
	}
	if needed {
		e.ticker.what = &e.ticker
		e.timers.set(&e.ticker.event, now.add(tickEvery))
	}
}

// due does nothing: taking the mutex has looked at the load already, and unlock arms the next look.
func (*loadTick) due(*Executor, instant) {}
