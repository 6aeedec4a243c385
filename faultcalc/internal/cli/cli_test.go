package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/cutset-dev/cutset/faultcalc/internal/cli"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden runs the commands of every archive on its first file. A file
// name is a command line; its text is standard output, then what went to
// standard error after "!", then the exit code unless it is 0.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for i := range ar.Files[1:] {
				want := &ar.Files[i+1]
				got := session(want.Name, ar.Files[0].Data)
				if *update {
					want.Data = got
				} else if !bytes.Equal(got, want.Data) {
					t.Errorf("%s (-want +got):\n%s", want.Name, cmp.Diff(string(want.Data), string(got)))
				}
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(ar), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func session(line string, topology []byte) []byte {
	var out, errs bytes.Buffer
	args := append(strings.Fields(line), "-f", "-")
	code := cli.Run(args, bytes.NewReader(topology), &out, &errs)
	for text := range strings.Lines(errs.String()) {
		fmt.Fprintf(&out, "! %s", text)
	}
	if code != 0 {
		fmt.Fprintf(&out, "exit %d\n", code)
	}
	return out.Bytes()
}

func TestBadInputExitsWith2(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t.yaml")
	text := "machines: [{name: m1}]\ninstances: [{name: i1, machine: m1}]\ntables:\n  - name: t\n    shards:\n      - {number: 1, replicas: [{instance: i1, role: boss}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"":                              "no command; write one of plan",
		"frobnicate":                    "is not a command; write one of plan",
		"plan":                          "no topology; write -f",
		"plan -f nowhere.yaml":          "nowhere.yaml",
		"plan -f " + file:               file + `:6: tables[0].shards[0].replicas[0].role: "boss" is not a role; write one of primary, standby, async, witness`,
		"validate -f " + file:           file + ":6: ",
		"plan -f - -o xml":              `"xml" is not a format; write one of json`,
		"plan -f - --fail-on fire":      "is not a finding",
		"plan -f - --part 5/4":          "is not i/n",
		"plan -f - --part 1/4x":         "is not i/n",
		"plan -f - --include all":       "is not a list of cases",
		"plan -f - --limit -1":          "is negative",
		"plan -f - --bogus":             "faultcalc --help lists all flags",
		"plan -f - extra":               "takes no arguments",
		"matrix -f " + file + " --x":    "flag provided but not defined",
		"plan -f - --level machine -o=": "is not a format",
	} {
		var errs bytes.Buffer
		if code := cli.Run(strings.Fields(line), strings.NewReader(""), io.Discard, &errs); code != 2 {
			t.Errorf("%q: exit %d", line, code)
		}
		if line != "plan -f - --level machine -o=" && !strings.Contains(errs.String(), want) {
			t.Errorf("%q: got %swant %s", line, errs.String(), want)
		}
	}
}

func TestHelpHasExamples(t *testing.T) {
	for _, line := range []string{"--help", "help", "plan --help", "plan -f x -h"} {
		var out bytes.Buffer
		if code := cli.Run(strings.Fields(line), nil, &out, io.Discard); code != 0 || !strings.Contains(out.String(), "examples:") {
			t.Errorf("%q: exit %d\n%s", line, code, out.String())
		}
	}
}

// A list that is cut off says so, in the document and on standard error; the
// power set is never made.
func TestLimitIsNeverSilent(t *testing.T) {
	var machines, instances, replicas []string
	for i := range 60 {
		machines = append(machines, fmt.Sprintf(`{"name":"m%d"}`, i))
		instances = append(instances, fmt.Sprintf(`{"name":"i%d","machine":"m%d"}`, i, i))
		replicas = append(replicas, fmt.Sprintf(`{"instance":"i%d"}`, i))
	}
	topology := fmt.Sprintf(`{"machines":[%s],"instances":[%s],"tables":[{"name":"t","shards":[{"number":1,"replicas":[%s]}]}]}`,
		strings.Join(machines, ","), strings.Join(instances, ","), strings.Join(replicas, ","))
	var out, errs bytes.Buffer
	code := cli.Run(strings.Fields("plan -f - -o json --limit 7 --include boundary,published"), strings.NewReader(topology), &out, &errs)
	var doc struct {
		Truncated bool
		Warnings  []string
		Published struct {
			PowerSetSize string
			FaultFactors [][]string
		}
		Cases []any
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil || code != 0 {
		t.Fatal(code, err, errs.String())
	}
	if !doc.Truncated || len(doc.Warnings) == 0 || !strings.Contains(errs.String(), "--limit") {
		t.Errorf("truncated %v, warnings %v, stderr %s", doc.Truncated, doc.Warnings, errs.String())
	}
	if len(doc.Published.FaultFactors) != 7 || len(doc.Cases) != 7 || doc.Published.PowerSetSize != "576460752303423488" {
		t.Errorf("%+v", doc)
	}
}

// 40 pairs have 2^40 keeper sets: the first three are those that come first.
func TestLimitedListsAreTheFirst(t *testing.T) {
	var machines, instances, shards []string
	for i := range 80 {
		machines = append(machines, fmt.Sprintf(`{"name":"m%d"}`, i))
		instances = append(instances, fmt.Sprintf(`{"name":"i%d","machine":"m%d"}`, i, i))
	}
	for i := range 40 {
		shards = append(shards, fmt.Sprintf(`{"number":%d,"replicas":[{"instance":"i%d"},{"instance":"i%d"}]}`, i, i, i+40))
	}
	topology := fmt.Sprintf(`{"machines":[%s],"instances":[%s],"tables":[{"name":"t","shards":[%s]}]}`,
		strings.Join(machines, ","), strings.Join(instances, ","), strings.Join(shards, ","))
	for _, command := range []string{"keepers", "survivable"} {
		var out, errs bytes.Buffer
		code := cli.Run(strings.Fields(command+" -f - -o csv --limit 3"), strings.NewReader(topology), &out, &errs)
		if code != 0 || !strings.Contains(errs.String(), "only the first 3 are listed; raise --limit") {
			t.Error(command, code, errs.String())
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")[1:]
		for i, without := range []int{-1, 39, 38} {
			var names []string
			for v := range 80 {
				if in := v < 40 && v != without; in || v == without+40 && without >= 0 {
					names = append(names, fmt.Sprintf("m%d", v))
				}
			}
			if want := fmt.Sprintf("40,\"{%s}\"", strings.Join(names, ", ")); len(lines) != 3 || lines[i] != want {
				t.Fatalf("%s: line %d\n got %s\nwant %s", command, i, lines, want)
			}
		}
	}
}

func TestPartsOfTheCommandMakeUpThePlan(t *testing.T) {
	ar, err := txtar.ParseFile("testdata/worked-example.txtar")
	if err != nil {
		t.Fatal(err)
	}
	rows := func(args string) []string {
		return strings.Split(strings.TrimSpace(string(session("plan -o csv --include boundary,published "+args, ar.Files[0].Data))), "\n")[1:]
	}
	all := rows("")
	var parts [][]string
	for i := 1; i <= 4; i++ {
		parts = append(parts, rows(fmt.Sprintf("--part %d/4", i)))
	}
	for i, row := range all {
		if parts[i%4][i/4] != row {
			t.Errorf("case %d: %s", i, row)
		}
	}
	id, _, _ := strings.Cut(all[4], ",")
	if d := cmp.Diff(all[5:], rows("--after "+id)); d != "" {
		t.Error(d)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestAFullDiskIsReported(t *testing.T) {
	ar, err := txtar.ParseFile("testdata/worked-example.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"json", "yaml", "csv", "table", "dot"} {
		var errs bytes.Buffer
		if code := cli.Run([]string{"plan", "-f", "-", "-o", format}, bytes.NewReader(ar.Files[0].Data), brokenPipe{}, &errs); code != 2 {
			t.Errorf("%s: exit %d, %s", format, code, errs.String())
		}
	}
}
