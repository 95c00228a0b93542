package e2e

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// crowdClients run programs at once, each on a lease of its own.
const crowdClients = 100

// crowdProgram is one that says by its end whether it was right.
type crowdProgram struct {
	name  string
	words []string
	// right is how its output ends then.
	right string
}

// TestCrowd has many clients run mixed programs, one after the other each: every one that gets a lease ends right, and at the end
// nothing is left.
func TestCrowd(t *testing.T) {
	if soakTime() == 0 {
		t.Skip("SOAK_S is not set: run `make soak`")
	}
	s := &soak{system: newSystem(t, "process", ""), t: t, tally: tally{counts: make(map[string]int)}}
	programs := s.crowdPrograms()
	seed, end := uint64(time.Now().UnixNano()), time.Now().Add(soakTime())
	var crowd sync.WaitGroup
	for n := range crowdClients {
		random := rand.New(rand.NewPCG(seed, uint64(n)))
		crowd.Go(func() {
			for ran := 0; ran == 0 || time.Now().Before(end) && !s.wrong.Load(); ran++ {
				s.runInCrowd(programs[random.IntN(len(programs))])
			}
		})
	}
	crowd.Wait()
	t.Logf("what happened:\n%s", &s.tally)
	s.end()
}

// runInCrowd runs a program once.
func (s *soak) runInCrowd(program crowdProgram) {
	words := append([]string{"run", "--memory", "64Mi", "--compute", fmt.Sprint(1000 / crowdClients), "--"}, program.words...)
	out, err := s.command(s.t, words...).CombinedOutput()
	switch text := strings.TrimSpace(string(out)); {
	case err == nil && strings.HasSuffix(text, program.right):
		s.tally.add(program.name)
	case err != nil && strings.Contains(text, "no worker became ready"):
		s.tally.add("refused: the machine is too busy to start a worker in time")
	default:
		s.fail("%s ended with %v: %s", program.words, err, text)
	}
}

// crowdPrograms are Python's vectors, clinfo, and the programs of C that check one part of the API each.
func (s *soak) crowdPrograms() []crowdProgram {
	s.t.Helper()
	programs := []crowdProgram{
		{"sums", []string{"/bin/sh", "-c", python + " testdata/vector_add.py 20 >/dev/null && echo sums"}, "sums"},
		{"clinfo", []string{"/bin/sh", "-c", "clinfo >/dev/null && echo listed"}, "listed"},
	}
	for _, name := range []string{"events", "images", "kernels", "maps", "objects", "rectangles", "threads"} {
		source := filepath.Join(s.root, "broker/dispatch/testdata", name+".c")
		built := filepath.Join(s.folder, name)
		if out, err := exec.Command("gcc", "-w", "-o", built, source, "-l:libOpenCL.so.1", "-pthread").CombinedOutput(); err != nil {
			s.t.Fatalf("compiling %s: %v: %s", source, err, out)
		}
		programs = append(programs, crowdProgram{name, []string{built}, "end"})
	}
	return programs
}
