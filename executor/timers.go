package executor

// timed is what can wait for a point in time: an attempt (deadline, end of grace), a task (backoff),
// a class (oldest queued command), the executor itself (load tick).
type timed interface {
	// due is called with the executor's mutex held, after the event left the heap.
	due(e *Executor, now instant)
}

// event is a place in the heap. It is embedded in what waits, so that arming it allocates nothing.
type event struct {
	when instant
	pos  int // 1-based position in the heap; 0 means that it is not armed
	what timed
}

// timers is a binary min-heap of events by time. It is written out because container/heap would
// cost an interface call per comparison on the path of every command.
type timers struct{ heap []*event }

func (t *timers) head() *event {
	if len(t.heap) == 0 {
		return nil
	}
	return t.heap[0]
}

// set arms ev for when, or moves it there.
func (t *timers) set(ev *event, when instant) {
	ev.when = when
	if ev.pos == 0 {
		t.heap = append(t.heap, ev)
		ev.pos = len(t.heap)
	}
	t.up(ev.pos)
	t.down(ev.pos)
}

// drop disarms ev; it does nothing when ev is not armed.
func (t *timers) drop(ev *event) {
	pos := ev.pos
	if pos == 0 {
		return
	}
	last := len(t.heap)
	t.swap(pos, last)
	t.heap[last-1] = nil
	t.heap = t.heap[:last-1]
	ev.pos = 0
	if pos < last {
		t.up(pos)
		t.down(pos)
	}
}

func (t *timers) swap(i, j int) {
	h := t.heap
	h[i-1], h[j-1] = h[j-1], h[i-1]
	h[i-1].pos, h[j-1].pos = i, j
}

func (t *timers) up(i int) {
	for i > 1 && t.heap[i-1].when < t.heap[i/2-1].when {
		t.swap(i, i/2)
		i /= 2
	}
}

func (t *timers) down(i int) {
	for {
		least := i
		for _, child := range [...]int{2 * i, 2*i + 1} {
			if child <= len(t.heap) && t.heap[child-1].when < t.heap[least-1].when {
				least = child
			}
		}
		if least == i {
			return
		}
		t.swap(i, least)
		i = least
	}
}
