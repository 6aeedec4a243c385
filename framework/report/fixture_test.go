package report

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// fixture unpacks a saved run: healthy and failing are real runs of suites/ha, of which a few cases were kept.
func fixture(t *testing.T, name string) (dir string, r *Report) {
	t.Helper()
	dir = t.TempDir()
	for _, file := range []string{"report.json", "topology.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", name, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "history.jsonl"), unpack(t, filepath.Join("testdata", name, "history.jsonl.gz")), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Read(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, r
}

func unpack(t *testing.T, file string) []byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // read only
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
