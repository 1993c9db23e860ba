#include "kv/prefix_tree.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

/* Siblings that `nearest` looks at: a root with thousands of children must not cost a step. */
enum { MAX_LOOKS = 64 };

struct rf_prefix_tree {
    uint32_t n_nodes, n_used, block_tokens;
    uint32_t n_slots; /* a power of two */
    rf_hash_key key;
    rf_prefix_node *nodes; /* [n_nodes] */
    int32_t *tokens;       /* [n_nodes][block_tokens] */
    int32_t *slots;        /* [n_slots] first full node of the slot, or -1 */
    int32_t first_free;    /* chained by `older` */
};

rf_status rf_prefix_tree_create(uint32_t n_nodes, uint32_t block_tokens, rf_hash_key key,
                                rf_prefix_tree **out, rf_error *err) {
    *out = NULL;
    if (n_nodes == 0 || n_nodes > INT32_MAX / 2 || block_tokens == 0)
        return rf_fail(err, RF_ERR_INVALID, "a prefix tree of %u nodes of %u tokens", n_nodes,
                       block_tokens);
    rf_prefix_tree *tree = rf_calloc(1, sizeof *tree);
    uint32_t n_slots = 1;
    while (n_slots < n_nodes)
        n_slots *= 2;
    size_t n_tokens;
    if (tree && rf_mul_size(n_nodes, block_tokens, &n_tokens)) {
        tree->nodes = rf_calloc(n_nodes, sizeof *tree->nodes);
        tree->tokens = rf_calloc(n_tokens, sizeof *tree->tokens);
        tree->slots = rf_calloc(n_slots, sizeof *tree->slots);
    }
    if (!tree || !tree->nodes || !tree->tokens || !tree->slots) {
        rf_prefix_tree_destroy(tree);
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for a prefix tree of %u nodes",
                       n_nodes);
    }
    tree->n_nodes = n_nodes;
    tree->block_tokens = block_tokens;
    tree->n_slots = n_slots;
    tree->key = key;
    for (uint32_t i = 0; i < n_slots; i++)
        tree->slots[i] = -1;
    tree->first_free = -1;
    for (uint32_t i = n_nodes; i-- > 1;) {
        tree->nodes[i] = (rf_prefix_node){.parent = -1, .older = tree->first_free};
        tree->first_free = (int32_t)i;
    }
    tree->nodes[RF_PREFIX_ROOT] =
        (rf_prefix_node){.parent = -1, .first_child = -1, .newer = -1, .older = -1};
    tree->n_used = 1;
    *out = tree;
    return RF_OK;
}

void rf_prefix_tree_destroy(rf_prefix_tree *tree) {
    if (!tree)
        return;
    rf_free(tree->nodes);
    rf_free(tree->tokens);
    rf_free(tree->slots);
    rf_free(tree);
}

rf_prefix_node *rf_prefix_tree_at(const rf_prefix_tree *tree, int32_t node) {
    return &tree->nodes[node];
}

static int32_t *tokens_of(const rf_prefix_tree *tree, int32_t node) {
    return tree->tokens + (size_t)node * tree->block_tokens;
}

const int32_t *rf_prefix_tree_tokens(const rf_prefix_tree *tree, int32_t node) {
    return tokens_of(tree, node);
}

uint32_t rf_prefix_tree_n_nodes(const rf_prefix_tree *tree) { return tree->n_used; }

static int32_t *slot_of(const rf_prefix_tree *tree, uint64_t hash) {
    return &tree->slots[hash & (tree->n_slots - 1)];
}

/* What a child's hash chains from. */
static uint64_t hash_before(const rf_prefix_tree *tree, int32_t parent, uint64_t salt) {
    return parent == RF_PREFIX_ROOT ? salt : tree->nodes[parent].hash;
}

int32_t rf_prefix_tree_find(const rf_prefix_tree *tree, int32_t parent, uint64_t salt,
                            const int32_t *tokens) {
    uint64_t before = hash_before(tree, parent, salt);
    uint64_t hash = rf_token_hash(tree->key, before, tokens, tree->block_tokens);
    size_t bytes = tree->block_tokens * sizeof *tokens;
    for (int32_t i = *slot_of(tree, hash); i >= 0; i = tree->nodes[i].next_in_slot) {
        if (tree->nodes[i].hash == hash && tree->nodes[i].parent == parent &&
            memcmp(tokens_of(tree, i), tokens, bytes) == 0)
            return i;
    }
    return -1;
}

static bool has_blocks(const rf_prefix_node *node, uint32_t n_groups) {
    for (uint32_t g = 0; g < n_groups; g++)
        if (node->blocks[g] < 0)
            return false;
    return true;
}

static uint32_t n_equal(const int32_t *a, const int32_t *b, uint32_t n) {
    uint32_t i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* A child of the root keeps its salt: in `hash` until it is full. */
static bool has_salt(const rf_prefix_tree *tree, int32_t node, uint64_t salt) {
    const rf_prefix_node *n = &tree->nodes[node];
    if (n->parent != RF_PREFIX_ROOT)
        return true;
    if (n->n_tokens < tree->block_tokens)
        return n->hash == salt;
    return n->hash == rf_token_hash(tree->key, salt, tokens_of(tree, node), tree->block_tokens);
}

int32_t rf_prefix_tree_nearest(const rf_prefix_tree *tree, int32_t parent, uint64_t salt,
                               const int32_t *tokens, uint32_t n, uint32_t n_groups,
                               uint32_t *n_same) {
    int32_t best = -1, child = tree->nodes[parent].first_child;
    *n_same = 0;
    for (int looks = 0; child >= 0 && looks < MAX_LOOKS; looks++) {
        const rf_prefix_node *node = &tree->nodes[child];
        uint32_t same =
            n_equal(tokens_of(tree, child), tokens, n < node->n_tokens ? n : node->n_tokens);
        if (same > *n_same && has_blocks(node, n_groups) && has_salt(tree, child, salt)) {
            best = child;
            *n_same = same;
        }
        child = node->older;
    }
    return best;
}

int32_t rf_prefix_tree_add(rf_prefix_tree *tree, int32_t parent, uint64_t salt) {
    int32_t i = tree->first_free;
    if (i < 0)
        return -1;
    rf_prefix_node *node = &tree->nodes[i], *above = &tree->nodes[parent];
    tree->first_free = node->older;
    *node = (rf_prefix_node){.parent = parent,
                             .first_child = -1,
                             .newer = -1,
                             .older = above->first_child,
                             .next_in_slot = -1,
                             .hash = hash_before(tree, parent, salt)};
    for (uint32_t g = 0; g < RF_KV_GROUPS; g++)
        node->blocks[g] = -1;
    if (above->first_child >= 0)
        tree->nodes[above->first_child].newer = i;
    above->first_child = i;
    tree->n_used++;
    return i;
}

void rf_prefix_tree_append(rf_prefix_tree *tree, int32_t i, const int32_t *tokens, uint32_t n) {
    rf_prefix_node *node = &tree->nodes[i];
    if (n == 1)
        tokens_of(tree, i)[node->n_tokens] = *tokens;
    else
        memcpy(tokens_of(tree, i) + node->n_tokens, tokens, n * sizeof *tokens);
    node->n_tokens += n;
    if (n == 0 || node->n_tokens < tree->block_tokens)
        return;
    node->hash = rf_token_hash(tree->key, node->hash, tokens_of(tree, i), tree->block_tokens);
    int32_t *slot = slot_of(tree, node->hash);
    node->next_in_slot = *slot;
    *slot = i;
}

void rf_prefix_tree_remove(rf_prefix_tree *tree, int32_t i) {
    rf_prefix_node *node = &tree->nodes[i];
    if (node->n_tokens == tree->block_tokens) {
        int32_t *at = slot_of(tree, node->hash);
        while (*at != i)
            at = &tree->nodes[*at].next_in_slot;
        *at = node->next_in_slot;
    }
    if (node->newer >= 0)
        tree->nodes[node->newer].older = node->older;
    else
        tree->nodes[node->parent].first_child = node->older;
    if (node->older >= 0)
        tree->nodes[node->older].newer = node->newer;
    *node = (rf_prefix_node){.parent = -1, .older = tree->first_free};
    tree->first_free = i;
    tree->n_used--;
}

static bool node_is_sound(const rf_prefix_tree *tree, int32_t i) {
    const rf_prefix_node *node = &tree->nodes[i];
    const rf_prefix_node *above = &tree->nodes[node->parent];
    bool full = node->n_tokens == tree->block_tokens, listed = false;
    if (node->n_tokens == 0 || node->n_tokens > tree->block_tokens ||
        (node->first_child >= 0 && !full))
        return false;
    if (node->newer >= 0 ? tree->nodes[node->newer].older != i : above->first_child != i)
        return false;
    for (int32_t at = full ? *slot_of(tree, node->hash) : -1; at >= 0;
         at = tree->nodes[at].next_in_slot)
        listed |= at == i;
    return listed == full;
}

bool rf_prefix_tree_is_sound(const rf_prefix_tree *tree) {
    uint32_t n_used = 1;
    for (uint32_t i = 1; i < tree->n_nodes; i++) {
        if (tree->nodes[i].parent < 0)
            continue;
        n_used++;
        if (!node_is_sound(tree, (int32_t)i))
            return false;
    }
    return n_used == tree->n_used;
}
