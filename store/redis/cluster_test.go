package redis_test

import (
	"strings"
	"testing"
	"time"

	"sluice/store/storetest"
)

// A cluster of one node checks that all keys of a script lie in one slot, as a larger one does.
func TestCluster(t *testing.T) {
	port := freePort(t)
	server := newServer(t, "--port", port, "--cluster-enabled", "yes", "--cluster-port", freePort(t), "--bind", "127.0.0.1")
	server.do(t, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		state, _ := server.do(t, "CLUSTER", "INFO").(string)
		if strings.Contains(state, "cluster_state:ok") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the cluster does not come up: %s", state)
		}
	}
	factory := func(t *testing.T, folder string) storetest.Engine {
		return open(t, "redis-cluster://127.0.0.1:"+port+"?namespace="+namespaceOf(folder))
	}
	t.Run("Registry", func(t *testing.T) { storetest.RunRegistry(t, factory) })
	t.Run("Queue", func(t *testing.T) { storetest.RunQueue(t, factory) })
	t.Run("Counters", func(t *testing.T) { storetest.RunCounters(t, factory) })
}
