package framework

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile("../" + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The README shows the example suite as it is, and names only targets that there are.
func TestREADME(t *testing.T) {
	readme, makefile := read(t, "README.md"), read(t, "Makefile")
	example := read(t, "suites/example/example_test.go")
	_, code, _ := strings.Cut(example, "package example")
	if !strings.Contains(readme, "```go\npackage example"+code+"```") {
		t.Error("README.md does not show suites/example/example_test.go, from its package clause on")
	}
	if lines := strings.Count(example, "\n"); lines > 30 {
		t.Errorf("the example suite has %d lines; a suite fits into 30", lines)
	}
	_, code, _ = strings.Cut(readme, "## Use the executor by itself")
	_, code, _ = strings.Cut(code, "```go\n")
	code, _, _ = strings.Cut(code, "```")
	if code == "" || !strings.Contains(read(t, "executor/example_test.go"), code) {
		t.Error("README.md shows code that is not in executor/example_test.go")
	}
	for _, match := range regexp.MustCompile("(?m)(?:^|`)make ([a-z]+)").FindAllStringSubmatch(readme, -1) {
		if !regexp.MustCompile(`(?m)^` + match[1] + `:`).MatchString(makefile) {
			t.Errorf("README.md names `make %s`, and the Makefile has no such target", match[1])
		}
	}
	for _, match := range regexp.MustCompile(`[(| "=]((?:hack|framework|suites|faultcalc)/[a-zA-Z0-9_./-]+)`).FindAllStringSubmatch(readme, -1) {
		if _, err := os.Stat("../" + strings.TrimRight(match[1], "./")); err != nil {
			t.Errorf("README.md names %s: %v", match[1], err)
		}
	}
}
