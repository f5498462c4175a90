package families

var mistral = Family{Defaults: Defaults{Intermediate: 14336, KVHeads: 8, Positions: 131072, Window: 4096}, Layers: Llama}
