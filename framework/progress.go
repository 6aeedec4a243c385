package framework

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/report"
)

// How progress is shown.
const (
	progressAuto     = "auto" // on a terminal, unless that is a CI server's
	progressPlain    = "plain"
	progressTerminal = "terminal"
)

func checkProgress(value string) error {
	if value != "" && !slices.Contains([]string{progressAuto, progressPlain, progressTerminal}, value) {
		return fmt.Errorf("-progress=%s: write %s, %s or %s", value, progressAuto, progressPlain, progressTerminal)
	}
	return nil
}

// progress is where a run is, for whoever looks while it goes on. It is safe for concurrent use.
type progress struct {
	mu       sync.Mutex
	ready    bool // set up, and planned
	plan     plan.Plan
	each     time.Duration // a case is reckoned to take, before any is done
	cases    []report.Case // that are done
	current  *plan.Case
	began    time.Time // the current case
	phase    string
	since    time.Time // the phase
	versions int
}

// underWay says what a case is about after each step.
var underWay = map[history.PhaseName]string{
	history.Started:   "waiting for a steady state",
	history.Steady:    "about to inject",
	history.Inject:    "injecting",
	history.Bit:       "holding",
	history.Heal:      "healing",
	history.Healed:    "waiting for redundancy",
	history.Redundant: "letting clients go on",
	history.Ended:     "auditing and judging",
}

func (p *progress) enter(phase string) { p.phase, p.since = phase, time.Now() }

// starts begins with the set-up.
func (p *progress) starts(each time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.each = each
	p.enter("setting up")
}

// planned ends the set-up.
func (p *progress) planned(frozen plan.Plan, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan, p.ready = frozen, err == nil
	p.versions++
	p.enter("about to begin")
}

func (p *progress) begins(c plan.Case) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current, p.began = &c, time.Now()
	p.enter("getting ready")
}

func (p *progress) reached(name history.PhaseName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.enter(underWay[name])
}

// ended takes in a verdict, or another one of the same case.
func (p *progress) ended(c report.Case) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.IndexFunc(p.cases, func(old report.Case) bool { return old.ID == c.ID }); i >= 0 {
		p.cases[i] = c
	} else {
		p.cases = append(p.cases, c)
	}
	p.current = nil
	p.versions++
	p.enter("about to go on")
	if len(p.done()) == len(p.plan.Cases) {
		p.enter("reporting")
	}
}

// results are the planned cases so far. Until the run is ready nothing of it may be read.
func (p *progress) results() (cases []report.Case, ready bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done(), p.ready
}

// done leaves out what was done besides the plan.
func (p *progress) done() []report.Case {
	return slices.DeleteFunc(slices.Clone(p.cases), func(c report.Case) bool {
		return !slices.ContainsFunc(p.plan.Cases, func(planned plan.Case) bool { return planned.ID == c.ID })
	})
}

// now is where the run is at this moment.
func (p *progress) now() report.Now {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := report.Now{Version: p.versions, Total: len(p.plan.Cases), Phase: p.phase, For: time.Since(p.since)}
	var spent time.Duration
	for _, c := range p.cases {
		spent += c.Verdict.Took
	}
	n.Done = len(p.done())
	each := p.each
	if len(p.cases) > 0 {
		each = spent / time.Duration(len(p.cases))
	}
	n.Left = each * time.Duration(n.Total-n.Done)
	if c := p.current; c != nil {
		n.Case = "nothing fails"
		if c.Kind != plan.Control {
			n.Case = fmt.Sprintf("%s {%s}", c.Kind, strings.Join(c.Nodes, ", "))
		}
		n.Left = max(n.Left-min(time.Since(p.began), each), 0)
	}
	return n
}

// showProgress has the run show where it is until hide is called: on the terminal, and to browsers. Of parallel processes, the first does.
func (r *run) showProgress() (hide func(), err error) {
	r.progress.starts(r.backend().eachCase)
	stopDrawing := func() {}
	if r.onTerminal() {
		if stopDrawing, err = r.drawProgress(); err != nil {
			r.say("no line of progress: %v", err)
			stopDrawing = func() {}
		}
	}
	stopServing, err := r.serve()
	if err != nil {
		stopDrawing()
		return nil, err
	}
	return sync.OnceFunc(func() {
		stopServing()
		stopDrawing()
	}), nil
}

// drawProgress has everything that the run says come to the terminal itself. Tests of a package never have that for their output: go test
// reads it, and passes it on later. The lines and the one that is drawn again and again have to come the same way, or they would meet.
func (r *run) drawProgress() (stop func(), err error) {
	tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	signal.Ignore(syscall.SIGTTOU) // the embedded world is in the background, and may write to the terminal all the same
	s := &screen{tty: tty}
	r.out = s
	stopDrawing := s.follow(func() string { return r.progress.now().String() })
	return func() {
		stopDrawing()
		r.out = os.Stdout
		_ = tty.Close() // nothing was left to write
	}, nil
}

func (r *run) onTerminal() bool {
	if r.process > 1 || r.config.planOnly {
		return false
	}
	if r.config.progress == progressAuto {
		return os.Getenv("CI") == "" && term.IsTerminal(int(os.Stdout.Fd())) //nolint:gosec // a file descriptor is small
	}
	return r.config.progress == progressTerminal
}

// screen is a terminal with a line at its foot that is drawn again and again. What is written comes above it.
type screen struct {
	mu    sync.Mutex
	tty   *os.File
	drawn bool // the line stands there
}

const (
	redrawEvery = 500 * time.Millisecond
	eraseLine   = "\r\x1b[K"
)

// Write implements [io.Writer]. The line comes back when it is drawn next: until then what others write, Ginkgo above all, finds a free one.
func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tty.Write(append([]byte(s.erase()), text...))
}

func (s *screen) erase() string {
	if !s.drawn {
		return ""
	}
	s.drawn = false
	return eraseLine
}

// draw writes the line, as much of it as there is room for.
func (s *screen) draw(line string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	width, _, err := term.GetSize(int(s.tty.Fd())) //nolint:gosec // a file descriptor is small
	if err != nil || width < 2 {
		width = 80
	}
	if runes := []rune(line); len(runes) >= width {
		line = string(runes[:width-2]) + "…"
	}
	s.drawn = true
	_, err = s.tty.WriteString(eraseLine + line)
	return err
}

// follow draws the line until stop is called, which erases it.
func (s *screen) follow(line func() string) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(redrawEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if err := s.draw(line()); errors.Is(err, os.ErrClosed) {
					return
				}
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		_, _ = s.Write(nil)
	}
}
