package framework

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onsi/ginkgo/v2/types"
	"golang.org/x/sys/unix"

	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/report"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// The line says what is done, what the run is about, and how long the rest will take by what the cases before took.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p progress
		var frozen plan.Plan
		for _, node := range []string{"m1", "m2", "m3", "m4"} {
			frozen.Cases = append(frozen.Cases, plan.Case{ID: node, Kind: "crash", Nodes: []string{node}})
		}
		frozen.Cases[3].Kind = plan.Control
		says := func(want string) {
			t.Helper()
			if got := p.now().String(); got != want {
				t.Errorf("the line is %q, want %q", got, want)
			}
		}
		pass := func(d time.Duration) {
			<-time.After(d) // at once, by the clock of the bubble
		}
		p.starts(25 * time.Second)
		pass(12 * time.Second)
		says("setting up for 12 s")
		if _, ready := p.results(); ready {
			t.Error("there are results before there is a plan")
		}
		p.planned(frozen, nil)
		p.begins(frozen.Cases[0])
		p.reached(history.Bit)
		pass(5 * time.Second)
		says("0 of 4 cases done · crash {m1}: holding for 5 s · about 2 min left") // 4 × 25 s - 5 s
		p.ended(report.Case{Case: frozen.Cases[0], Verdict: verdict.Verdict{Took: 10 * time.Second}})
		says("1 of 4 cases done · about to go on for 0 s · about 30 s left")
		p.begins(plan.Case{ID: "part", Kind: "crash", Nodes: []string{"m9"}})
		p.ended(report.Case{Case: plan.Case{ID: "part"}, Verdict: verdict.Verdict{Took: 10 * time.Second}})
		if cases, ready := p.results(); len(cases) != 1 || !ready {
			t.Errorf("the results are %+v, ready: %v; want the one planned case", cases, ready)
		}
		for _, c := range frozen.Cases[1:] {
			p.begins(c)
			if c.Kind == plan.Control {
				says("3 of 4 cases done · nothing fails: getting ready for 0 s · about 10 s left")
				pass(time.Hour)
				says("3 of 4 cases done · nothing fails: getting ready for 3600 s")
			}
			p.ended(report.Case{Case: c, Verdict: verdict.Verdict{Took: 10 * time.Second}})
		}
		says("4 of 4 cases done · reporting for 0 s")
		before := p.now().Version
		if p.ended(report.Case{Case: frozen.Cases[0]}); p.now().Done != 4 || p.now().Version == before {
			t.Error("another verdict of a case is another case, or nothing new")
		}
	})
}

// terminal opens one of the given width: what is written to tty is read from screen.
func terminal(t *testing.T, columns uint16) (screen *bufio.Reader, tty *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("this host has no terminals to give:", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	fd := int(master.Fd()) //nolint:gosec // a file descriptor is small
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0), unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}))
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return bufio.NewReader(master), tty
}

// The line fits the terminal, makes room for what is written, and is gone in the end.
func TestScreen(t *testing.T) {
	read, tty := terminal(t, 20)
	s := &screen{tty: tty}
	write := func(text string) {
		t.Helper()
		if _, err := s.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	for _, line := range []string{"0 of 14 cases done, and so on", "short · é"} {
		if err := s.draw(line); err != nil {
			t.Fatal(err)
		}
	}
	write("second\n")
	write("third\n")
	stop := s.follow(func() string { return "again" })
	var got strings.Builder
	for !strings.Contains(got.String(), "again") {
		b, err := read.ReadByte()
		if err != nil {
			t.Fatal(err)
		}
		got.WriteByte(b)
	}
	stop()
	rest := make([]byte, len(eraseLine))
	if _, err := read.Read(rest); err != nil {
		t.Fatal(err)
	}
	want := "first\r\n" + eraseLine + "0 of 14 cases done…" + eraseLine + "short · é" + eraseLine + "second\r\nthird\r\n" + eraseLine + "again" + eraseLine
	if got.String()+string(rest) != want {
		t.Errorf("the terminal got\n%q, want\n%q", got.String()+string(rest), want)
	}
}

func TestWhoShowsProgress(t *testing.T) {
	t.Setenv("CI", "")
	for _, c := range []struct {
		config  config
		process int
		want    bool
	}{
		{config{progress: progressTerminal}, 1, true},
		{config{progress: progressTerminal}, 2, false},
		{config{progress: progressTerminal, planOnly: true}, 1, false},
		{config{progress: progressPlain}, 1, false},
	} {
		r := &run{config: c.config, process: c.process}
		if got := r.onTerminal(); got != c.want {
			t.Errorf("-progress=%s, process %d, plan only %v: on the terminal is %v", c.config.progress, c.process, c.config.planOnly, got)
		}
	}
}

// A case without a verdict was left out, not reached, or is an error of the harness: CI servers are told which.
func TestNotDone(t *testing.T) {
	r := &run{}
	leftOut := []plan.LeftOut{{ID: "a", Reason: "go test's timeout is near"}}
	specs := types.SpecReports{
		{LeafNodeLabels: []string{"a"}, State: types.SpecStateSkipped},
		{LeafNodeLabels: []string{"b"}, State: types.SpecStatePanicked, Failure: types.Failure{Message: "nil pointer"}},
	}
	for id, want := range map[string]report.NotDone{
		"a": {ID: "a", Reason: "go test's timeout is near"},
		"b": {ID: "b", Reason: "the harness could not do it: nil pointer", Broken: true},
		"c": {ID: "c", Reason: "not reached: the run was cut short"},
	} {
		if got := r.notDone(id, leftOut, specs); got != want {
			t.Errorf("case %s: %+v, want %+v", id, got, want)
		}
	}
}
