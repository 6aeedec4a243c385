package executor

import (
	"fmt"
	"time"
)

// The first wait before a stuck target is probed, and its ceiling; it doubles with every probe that hangs.
const (
	probeAfter    = 5 * time.Second
	probeAfterMax = 2 * time.Minute
)

// idleTargets is how many targets without commands a class remembers before it sweeps them out.
const idleTargets = 256

// target is what a class knows of one target. It is kept per class, so that probes that hang on a
// machine don't close it for the command that heals it.
type target struct {
	name        string
	refs        int // tasks that are not complete
	inflight    int
	quarantined int
	forgiven    int // of the quarantined, those from before the target answered again
	parked      taskList
	stuck       bool
	probing     bool
	probeAt     instant
	probeWait   time.Duration
	retrying    int
	bound       int
}

func (l *level) targetFor(name string) *target {
	tg, ok := l.targets[name]
	if !ok {
		if len(l.targets) >= idleTargets {
			for key, old := range l.targets {
				if old.refs == 0 && old.quarantined == 0 && !old.stuck {
					delete(l.targets, key)
				}
			}
		}
		tg = &target{name: name, bound: l.MaxPerTarget}
		l.targets[name] = tg
	}
	return tg
}

// forget drops a target that nothing refers to, unless there are few.
func (l *level) forget(tg *target) {
	if tg.refs == 0 && tg.quarantined == 0 && !tg.stuck && len(l.targets) > idleTargets {
		delete(l.targets, tg.name)
	}
}

// hung is the number of abandoned commands that count against the target.
func (tg *target) hung() int { return tg.quarantined - tg.forgiven }

// probeDue reports whether a stuck target may get one command. The probe itself may hang too, so a
// target holds at most bound+1 abandoned commands.
func (tg *target) probeDue(now instant) bool {
	return !tg.probing && tg.hung() <= tg.bound && now >= tg.probeAt
}

// open reports whether a new command to this target makes sense.
func (tg *target) open(now instant) bool { return !tg.stuck || tg.probeDue(now) }

type admission uint8

const (
	admitNow admission = iota
	admitLater
	admitNever
)

// admission decides about the task at the head of the queue.
func (t *task) admission(now instant) admission {
	tg := t.target
	switch {
	case tg == nil:
		return admitNow
	case tg.stuck && !tg.probeDue(now):
		return admitNever
	case tg.stuck:
		tg.probing, t.probe = true, true
		return admitNow
	case tg.inflight+tg.hung() >= tg.bound:
		return admitLater
	}
	return admitNow
}

// targetConcluded updates a target at the end of an attempt: slot given back, or attempt abandoned.
func (e *Executor) targetConcluded(l *level, t *task, outcome string, now instant) {
	tg := t.target
	late := outcome == OutcomeTimeout || outcome == OutcomeStalled || outcome == OutcomeAbandoned || outcome == OutcomeCancelled
	if t.probe {
		t.probe, tg.probing = false, false
		if late {
			tg.probeWait = min(2*tg.probeWait, probeAfterMax)
			tg.probeAt = now.add(tg.probeWait)
		} else { // it answered: whatever still hangs from before does not count any more
			tg.forgiven = tg.quarantined
		}
	}
	e.targetChanged(l, tg, now)
}

// targetReleased is called when an abandoned command of this target has returned.
func (e *Executor) targetReleased(l *level, tg *target, now instant) {
	tg.quarantined--
	tg.forgiven = min(tg.forgiven, tg.quarantined)
	e.targetChanged(l, tg, now)
	l.forget(tg)
}

// targetChanged marks a target stuck or not, and moves the commands that wait for it.
func (e *Executor) targetChanged(l *level, tg *target, now instant) {
	wasStuck := tg.stuck
	tg.stuck = tg.hung() >= tg.bound
	switch {
	case tg.stuck && !wasStuck:
		tg.probeWait = probeAfter
		tg.probeAt = now.add(probeAfter)
		l.stats.TargetsStuck++
		e.alert(Alert{
			Tier: max(l.Tier, TierHigh), Class: l.Name, Target: tg.name, Event: EventTargetStuck,
			Message: fmt.Sprintf("%d %s commands hang on target %s; no more are sent, but for one probe at a time", tg.hung(), l.Name, tg.name),
			Err:     ErrTargetStuck.Error(),
		})
		for tg.parked.first != nil {
			t := tg.parked.first
			e.dequeue(t)
			e.refuse(t, reasonTarget, now)
		}
	case !tg.stuck && wasStuck:
		e.alert(Alert{
			Tier: TierLow, Class: l.Name, Target: tg.name, Event: EventTargetOpen,
			Message: fmt.Sprintf("target %s answers %s commands again", tg.name, l.Name),
		})
	}
	// Each free place lets the oldest of the waiting compete again, ahead of what came later.
	for free := tg.bound - tg.inflight - tg.hung(); !tg.stuck && free > 0 && tg.parked.first != nil; free-- {
		t := tg.parked.first
		e.dequeue(t)
		t.state = taskQueued
		l.queue.pushFront(t)
	}
}

// ResetTarget forgets what hangs on a target, in all classes: for a caller who knows that it was
// replaced, e.g. a new pod of the same name. The hung commands stay in the quarantine of their class.
func (e *Executor) ResetTarget(name string) {
	now := e.lock()
	for _, l := range e.levels {
		if tg, ok := l.targets[name]; ok {
			tg.forgiven = tg.quarantined
			e.targetChanged(l, tg, now)
		}
	}
	e.unlock(now, false)
}

// quarantineFilled closes a class whose quarantine has reached its bound.
func (e *Executor) quarantineFilled(l *level, now instant) {
	if l.full || l.quarantined < l.MaxQuarantine {
		return
	}
	l.full = true
	e.alert(Alert{
		Tier: TierCritical, Class: l.Name, Event: EventQuarantineFull, Err: ErrQuarantine.Error(),
		Message: fmt.Sprintf("%d commands of class %s hang and ignore kill; the class refuses commands until one returns", l.quarantined, l.Name),
	})
	for l.queue.first != nil {
		t := l.queue.first
		e.dequeue(t)
		e.refuse(t, reasonQuarantine, now)
	}
	for _, tg := range l.targets {
		for tg.parked.first != nil {
			t := tg.parked.first
			e.dequeue(t)
			e.refuse(t, reasonQuarantine, now)
		}
	}
}

// quarantineReleased opens a class again: from here on, one command at a time probes it.
func (e *Executor) quarantineReleased(l *level) {
	if !l.full || l.quarantined >= l.MaxQuarantine {
		return
	}
	l.full = false
	e.alert(Alert{
		Tier: TierLow, Class: l.Name, Event: EventQuarantineOpen,
		Message: fmt.Sprintf("class %s accepts commands again", l.Name),
	})
}
