package executor_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The 27 fault scenarios, and the tests that hold them; what has no directory is in this one. "As" says where a test has
// another form than a plain reading of the scenario: fake time is that of testing/synctest.
var scenarios = []struct {
	n         int
	fault, as string
	tests     string
}{
	{1, "exec: no HTTP answer", "a leak is over when client-go's 5 s heartbeat ends, not after 1 s", "podexec.TestHangs podexec.TestNothingLeaks"},
	{2, "exec: silence after 101, 100 times", "over SPDY client-go keeps a goroutine and 0.8 MiB per stream for 30 s: bounded by default, waited for with -leak", "podexec.TestHangs podexec.TestNothingLeaks"},
	{3, "exec: heartbeats but no output", "", "podexec.TestProgress TestProgressTimeout"},
	{4, "packet loss in mid-stream", "a proxy that stops passing bytes on and closes nothing, not a packet filter", "podexec.TestHangs"},
	{5, "pod deleted during exec", "a stream that freezes, not a real pod; the bound per target in fake time", "podexec.TestHangs podexec.TestSessionIsReplaced TestDeadTargetIsIsolated"},
	{6, "node NotReady, 50 commands to it", "fake time", "TestDeadTargetIsIsolated"},
	{7, "Run ignores context and kill", "fake time", "TestHungCommandLosesItsSlot TestKillHookHangs"},
	{8, "half of LOW hangs for ever", "fake time; in real time next to the peers in bench", "TestScenario08LowHangsForEver"},
	{9, "hangs that can be killed, LOW and HIGH", "fake time; in real time in bench", "TestScenario09KillKeepsTheShare"},
	{10, "everything hangs", "fake time", "TestScenario10EverythingHangs TestQuarantineOfAClassIsBounded"},
	{11, "permanent HIGH overload", "fake time", "TestStarvationBound"},
	{12, "late return", "", "TestLateResultIsDropped TestScenario13CompletionRace"},
	{13, "deadline against completion", "", "TestScenario13CompletionRace"},
	{14, "panics", "those of sinks are part of 21", "TestPanics TestScenario21SinkHangs"},
	{15, "total failure for a minute", "fake time", "TestScenario15RetryBudget"},
	{16, "hung retries", "fake time", "TestScenario16HungRetriesDoNotPin"},
	{17, "CPU hog", "skipped where others keep the machine busy; the exact steps with a fake monitor", "resource.TestRealHogs TestScenario17SheddingAndLimit"},
	{18, "memory near its limit, I/O stall", "the kernel's files are copies, filled in by the test", "resource.TestNarrowestBoundWins resource.TestScarcity TestScenario17SheddingAndLimit"},
	{19, "PSI missing, cgroup v1, read hangs, clock set", "the executor counts in instants, and the sources are searched for what reads the clock", "resource.TestNothingThere resource.TestCgroup1 resource.TestStuckRead TestRetryBudgetForgets TestInstants TestNothingReadsTheWallClock"},
	{20, "429 and 503 with Retry-After", "the storm in fake time; the HTTP answers in podexec", "TestScenario20RetryAfter podexec.TestFallback"},
	{21, "Alertmanager black-holed", "", "TestScenario21SinkHangs alert.TestCriticalIsDeliveredAfterRecovery"},
	{22, "10 000 low-tier events in a second", "fake time", "TestScenario22OneAlertPerEpisode"},
	{23, "caller cancels 1000 commands", "fake time", "TestParentCancelled"},
	{24, "drain with hung commands", "fake time", "TestDrainNamesWhatIsStuck"},
	{25, "grandchild keeps the pipe", "", "local.TestGrandchildKeepsPipe"},
	{26, "stdin or stdout blocks", "output goes to a bounded buffer, which never blocks", "local.TestEndlessStdinAndOutput podexec.TestBlockedStdin podexec.TestCommands"},
	{27, "non-idempotent command abandoned", "fake time", "TestUnknownOutcomeIsNotRetried TestHungCommandLosesItsSlot"},
}

// The table above names tests that are there.
func TestScenariosAreHeld(t *testing.T) {
	have := map[string]bool{}
	name := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		prefix := ""
		if dir := filepath.Dir(path); dir != "." {
			prefix = filepath.ToSlash(dir) + "."
		}
		for _, match := range name.FindAllStringSubmatch(string(text), -1) {
			have[prefix+match[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range scenarios {
		tests := strings.Fields(s.tests)
		if s.n != i+1 || s.fault == "" || len(tests) == 0 {
			t.Errorf("entry %d: %+v", i+1, s)
		}
		for _, test := range tests {
			if !have[test] {
				t.Errorf("scenario %d (%s; %s): there is no %s", s.n, s.fault, s.as, test)
			}
		}
	}
	if len(scenarios) != 27 {
		t.Errorf("%d scenarios, want 27", len(scenarios))
	}
}
