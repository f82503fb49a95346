package engine

import (
	"time"

	"go.temporal.io/sdk/worker"
	clusters "go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

const cluster = "active"

// startServer returns when the frontend serves.
func startServer(db *config.SQL, p ports, log *serverLog) (_ temporal.Server, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *fatalError:
			err = r
		default:
			panic(r)
		}
	}()
	// Else the first worker of the process, which is one of Temporal's own, reads the whole executable to hash it:
	// 360 of the 500 ms that a start took.
	worker.SetBinaryChecksum(Namespace)
	server, err := temporal.NewServer(
		temporal.WithConfig(serverConfig(db, p)),
		temporal.ForServices(temporal.DefaultServices),
		// Without them the services find each other by gossip, which takes seconds.
		temporal.WithStaticHosts(map[primitives.ServiceName]static.Hosts{
			primitives.FrontendService: static.SingleLocalHost(p.frontend.address()),
			primitives.HistoryService:  static.SingleLocalHost(p.history.address()),
			primitives.MatchingService: static.SingleLocalHost(p.matching.address()),
			primitives.WorkerService:   static.SingleLocalHost(p.worker.address()),
		}),
		temporal.WithDynamicConfigClient(dynamicConfig()),
		temporal.WithLogger(log),
	)
	if err != nil {
		return nil, err
	}
	return server, server.Start()
}

func serverConfig(db *config.SQL, p ports) *config.Config {
	service := func(p port) config.Service {
		return config.Service{RPC: config.RPC{GRPCPort: int(p), BindOnIP: loopback}}
	}
	disabled := config.Archival{
		History:    config.HistoryArchival{State: config.ArchivalDisabled},
		Visibility: config.VisibilityArchival{State: config.ArchivalDisabled},
	}
	return &config.Config{
		Global: config.Global{
			Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: loopback},
		},
		Persistence: config.Persistence{
			DefaultStore:     sqlite.PluginName,
			VisibilityStore:  sqlite.PluginName,
			NumHistoryShards: 1, // fixed when a database is made
			DataStores:       map[string]config.DataStore{sqlite.PluginName: {SQL: db}},
		},
		ClusterMetadata: &clusters.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        cluster,
			CurrentClusterName:       cluster,
			ClusterInformation: map[string]clusters.ClusterInformation{
				cluster: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: p.frontend.address()},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{
			string(primitives.FrontendService): service(p.frontend),
			string(primitives.HistoryService):  service(p.history),
			string(primitives.MatchingService): service(p.matching),
			string(primitives.WorkerService):   service(p.worker),
		},
		Archival: disabled,
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: config.ArchivalDisabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: config.ArchivalDisabled},
		}},
		PublicClient: config.PublicClient{HostPort: p.frontend.address()},
	}
}

// dynamicConfig takes away what protects a shared cluster from its users, and the memory that a shared cluster needs.
func dynamicConfig() dynamicconfig.StaticClient {
	const unlimited = 100_000
	return dynamicconfig.StaticClient{
		dynamicconfig.FrontendRPS.Key():                        unlimited,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key(): unlimited,
		dynamicconfig.FrontendPersistenceMaxQPS.Key():          unlimited,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():           unlimited,
		dynamicconfig.MatchingPersistenceMaxQPS.Key():          unlimited,
		// One poller set each; partitions would only forward to each other.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key():        1_000,
		// A timer may fire that much later. The default second would be added to every retry of 50 ms.
		dynamicconfig.TimerProcessorMaxTimeShift.Key(): 50 * time.Millisecond,
	}
}
