package executor

import (
	"context"
	"time"
)

// taskState is where a task is.
type taskState uint8

const (
	taskNew     taskState = iota
	taskQueued            // in its class's queue
	taskParked            // waiting for its target
	taskDelayed           // waiting for its next attempt
	taskRunning
	taskDone
)

// task is the untyped part of a Future. All fields but promise belong to the executor's mutex after submit.
type task struct {
	event // the end of the backoff
	promise
	body       body
	name       string
	targetName string
	scope      string
	idempotent bool

	ctx            context.Context
	stop           func() bool // ends the watch on ctx; nil if it cannot be cancelled
	orphan         bool        // ctx ended before the task was queued
	parentDeadline instant

	level     *level
	target    *target // nil without a target
	atTarget  Load    // of the target, when the last attempt ended or the task was submitted
	state     taskState
	submitted instant
	enqueued  instant // since when it waits for a slot
	deadline  instant // until when it may
	attempts  int
	grown     int // attempts that timed out or met overload
	retrying  bool
	probe     bool // let through to a stuck target
	current   *attempt
	timeout   time.Duration // of the last attempt
	lastErr   error         // of the last attempt

	list       *taskList
	prev, next *task
}

// taskList is a FIFO with removal from the middle; a task is in at most one.
type taskList struct {
	first, last *task
	n           int
}

func (q *taskList) pushBack(t *task) {
	t.list, t.prev, t.next = q, q.last, nil
	if q.last != nil {
		q.last.next = t
	} else {
		q.first = t
	}
	q.last = t
	q.n++
}

func (q *taskList) pushFront(t *task) {
	t.list, t.prev, t.next = q, nil, q.first
	if q.first != nil {
		q.first.prev = t
	} else {
		q.last = t
	}
	q.first = t
	q.n++
}

// unlink takes t out of whatever list it is in.
func (t *task) unlink() {
	q := t.list
	if q == nil {
		return
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		q.first = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		q.last = t.prev
	}
	t.list, t.prev, t.next = nil, nil, nil
	q.n--
}

// level is the state of one class.
type level struct {
	Class
	event           // the oldest waiting command's queue deadline
	rank        int // 0 is the heaviest
	queue       taskList
	delayed     taskList
	parked      int // in the lists of targets
	inflight    int
	quarantined int
	targets     map[string]*target
	lastRescue  instant
	rtt         rtt
	full        bool // the quarantine is at its bound
	shed        shedState
	budget      retryBudget
	bucket      tokenBucket
	episodes    [reasonCount]episode
	stats       ClassStats
}

func newLevel(c Class, rank int, now instant) *level {
	l := &level{Class: c, rank: rank, targets: make(map[string]*target), lastRescue: now}
	l.event.what = l
	l.bucket.tokens = bucketSize
	l.stats.Class, l.stats.Weight, l.stats.Tier = c.Name, c.Weight, c.Tier
	return l
}

func (l *level) waiting() int { return l.queue.n + l.delayed.n + l.parked }

// room is the number of commands that may be in flight: never so many that, should all of them hang,
// the quarantine would grow beyond its bound.
func (l *level) room() int { return min(l.MaxParallel, l.MaxQuarantine-l.quarantined) }

// eligible reports whether the head of the queue may start; spare is the number of slots that are
// neither taken nor reserved.
func (l *level) eligible(spare int) bool {
	return l.queue.n > 0 && l.inflight < l.room() && (l.inflight < l.Reserve || spare > 0)
}

// enter and leave keep the account of slots.
func (e *Executor) enter(l *level) {
	if l.inflight < l.Reserve {
		e.unusedReserve--
	}
	l.inflight++
	e.inflight++
}

func (e *Executor) leave(l *level) {
	l.inflight--
	e.inflight--
	if l.inflight < l.Reserve {
		e.unusedReserve++
	}
}

// starving reports whether the head of the queue is due a rescue.
func (l *level) starving(now instant) bool {
	return now.sub(l.queue.first.enqueued) > l.StarveAfter && now.sub(l.lastRescue) > l.StarveAfter
}

// due fails what waited too long for a slot, and arms the next look.
func (l *level) due(e *Executor, now instant) {
	var next instant
	sweep := func(q *taskList) {
		for q.first != nil && q.first.deadline <= now {
			e.expire(q.first, now)
		}
		if q.first != nil && (next == 0 || q.first.deadline < next) {
			next = q.first.deadline
		}
	}
	sweep(&l.queue)
	if l.parked > 0 {
		for _, tg := range l.targets {
			sweep(&tg.parked)
		}
	}
	if next != 0 {
		e.timers.set(&l.event, next)
	}
}

// watch makes sure that due is called when t has waited long enough.
func (l *level) watch(e *Executor, t *task) {
	if l.event.pos == 0 || t.deadline < l.event.when {
		e.timers.set(&l.event, t.deadline)
	}
}
