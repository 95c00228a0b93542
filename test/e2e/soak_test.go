package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/inference"
)

const (
	soakClients     = 3
	soakDeadline    = 20 * time.Second // of a request, a cold start on a busy machine included
	soakRecovery    = time.Minute      // from the last fault until everything answers
	soakPauseMax    = 4 * time.Second  // between faults
	soakOutageMax   = 2 * time.Second  // of a daemon, a containerd or a Redis
	soakElements    = 16
	soakErrorPause  = 50 * time.Millisecond // of a client after an error
	soakRarePauseMs = 4000                  // of the client whose function scales to zero between its requests
)

// soakTime is how long TestSoak lasts: SOAK_S seconds.
func soakTime() time.Duration {
	seconds, err := strconv.Atoi(os.Getenv("SOAK_S"))
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// tally counts answers by function and by gRPC code.
type tally struct {
	mutex  sync.Mutex
	counts map[string]int
}

func (c *tally) add(what string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.counts[what]++
}

func (c *tally) String() string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var lines []string
	for what, count := range c.counts {
		lines = append(lines, fmt.Sprintf("  %6d %s", count, what))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[8:], b[8:]) })
	return strings.Join(lines, "\n")
}

// soak is a system under load.
type soak struct {
	*system
	t      *testing.T
	tally  tally
	client inference.GRPCInferenceServiceClient
	wrong  atomic.Bool
}

// TestSoak sends requests and runs programs while the daemon, containerd, workers, instances and, with SOAK_STORE=redis,
// the store are killed at random: every answer is right, every request without one has an error, and at the end
// everything works and nothing is left behind. SOAK_SEED repeats a run's faults.
func TestSoak(t *testing.T) {
	if soakTime() == 0 {
		t.Skip("SOAK_S is not set: run `make soak`")
	}
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("SOAK_SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("SOAK_SEED=%d SOAK_S=%.0f SOAK_STORE=%s", seed, soakTime().Seconds(), os.Getenv("SOAK_STORE"))
	s := &soak{system: newSoakSystem(t), t: t, tally: tally{counts: make(map[string]int)}}
	connection, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	s.client = inference.NewGRPCInferenceServiceClient(connection)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	for n := range soakClients {
		random := rand.New(rand.NewPCG(seed, uint64(n)))
		load.Go(func() { s.ask(ctx, "simple", random, func() time.Duration { return 0 }) })
	}
	rare := rand.New(rand.NewPCG(seed, 100))
	load.Go(func() {
		s.ask(ctx, "rare", rare, func() time.Duration { return time.Duration(rare.IntN(soakRarePauseMs)) * time.Millisecond })
	})
	load.Go(func() { s.runPrograms(ctx) })
	s.disturb(rand.New(rand.NewPCG(seed, 200)), time.Now().Add(soakTime()))

	for _, function := range []string{"simple", "rare"} {
		s.awaitAnswer(function)
	}
	stop()
	load.Wait()
	t.Logf("what happened:\n%s", &s.tally)
	s.end()
}

// ask sends requests to a function until ctx ends.
func (s *soak) ask(ctx context.Context, function string, random *rand.Rand, pause func() time.Duration) {
	for ctx.Err() == nil {
		err := s.askOnce(function, random.Int32())
		s.tally.add(function + ": " + status.Code(err).String())
		wait := pause()
		if err != nil {
			wait += soakErrorPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// askOnce fails the test when an answer is wrong, or when there is none in time and no error either.
func (s *soak) askOnce(function string, value int32) error {
	first, second := make([]byte, 4*soakElements), make([]byte, 4*soakElements)
	for i := range soakElements {
		binary.LittleEndian.PutUint32(first[4*i:], uint32(value)+uint32(i))
		binary.LittleEndian.PutUint32(second[4*i:], uint32(3*i))
	}
	ctx, cancel := context.WithTimeout(context.Background(), soakDeadline)
	defer cancel()
	began := time.Now()
	answer, err := s.client.ModelInfer(ctx, &inference.ModelInferRequest{
		ModelName: function, RawInputContents: [][]byte{first, second},
		Inputs: []*inference.ModelInferRequest_InferInputTensor{
			{Name: "INPUT0", Datatype: "INT32", Shape: []int64{1, soakElements}},
			{Name: "INPUT1", Datatype: "INT32", Shape: []int64{1, soakElements}},
		},
	})
	if took := time.Since(began); took > 2*soakDeadline {
		s.t.Errorf("a request to %s took %s", function, took)
	}
	if err != nil {
		return err
	}
	if outputs := answer.GetRawOutputContents(); len(outputs) != 2 || len(outputs[0]) != len(first) || len(outputs[1]) != len(first) {
		s.fail("%s answers with %v", function, answer)
		return nil
	}
	for i := range soakElements {
		a, b := uint32(value)+uint32(i), uint32(3*i)
		sum := binary.LittleEndian.Uint32(answer.GetRawOutputContents()[0][4*i:])
		difference := binary.LittleEndian.Uint32(answer.GetRawOutputContents()[1][4*i:])
		if sum != a+b || difference != a-b {
			s.fail("%s answers %d and %d for %d and %d", function, sum, difference, a, b)
			return nil
		}
	}
	return nil
}

// fail reports the first wrong answer; there may be thousands.
func (s *soak) fail(format string, arguments ...any) {
	if s.wrong.CompareAndSwap(false, true) {
		s.t.Errorf("WRONG ANSWER: "+format, arguments...)
	}
}

// runPrograms runs one program after the other, each on a lease of its own. One ends right, or with an error.
func (s *soak) runPrograms(ctx context.Context) {
	for ctx.Err() == nil {
		out, err := s.command(s.t, "run", "--memory", "64Mi", "--", python, "testdata/vector_add.py", "100").CombinedOutput()
		switch text := string(out); {
		case err == nil && strings.HasPrefix(text, "right: 100"):
			s.tally.add("program: right")
		case err != nil && !strings.Contains(text, "wrong sum"):
			s.tally.add("program: error")
		default:
			s.fail("a program ended with %v: %s", err, text)
		}
		select {
		case <-ctx.Done():
		case <-time.After(soakErrorPause):
		}
	}
}

func (s *soak) awaitAnswer(function string) {
	s.t.Helper()
	for deadline := time.Now().Add(soakRecovery); ; time.Sleep(soakErrorPause) {
		err := s.askOnce(function, 1)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not answer %s after the last fault: %v", function, soakRecovery, err)
		}
		if code := status.Code(err); code == codes.NotFound {
			s.t.Fatalf("%s is lost: %v", function, err)
		}
	}
}

// end drains the system, and looks for what is left.
func (s *soak) end() {
	if out, err := s.command(s.t, "drain").CombinedOutput(); err != nil {
		s.t.Errorf("draining: %v: %s", err, out)
	}
	if err := <-s.exited; err != nil {
		s.t.Errorf("the drained daemon: %v", err)
	}
	if left := s.leaks(); len(left) > 0 {
		s.t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

// newSoakSystem has simple, which is always asked, and rare, which comes and goes.
func newSoakSystem(t *testing.T) *system {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	running.root = root
	s := newSystem(t, "containerd", soakStore(t))
	text, err := os.ReadFile(filepath.Join(root, "examples/simple/function.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.folder, "rare.yaml")
	rare := strings.NewReplacer("name: simple", "name: rare", "idle_s: 60", "idle_s: 1").Replace(string(text))
	if err := os.WriteFile(file, []byte(rare), 0o600); err != nil {
		t.Fatal(err)
	}
	output(t, s.command(t, "deploy", "-f", file))
	return s
}
