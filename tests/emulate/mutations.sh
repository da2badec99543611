# SPDX-License-Identifier: Apache-2.0
# The planted bugs of mutate.sh: bug NAME FILE OLD NEW, where OLD is text of the template as it is.
# shellcheck shell=bash

# --- the formula ---
bug drop_eps row_math.cuh 'fused_multiply_add(sum, Spec::inv_hidden(), eps)' 'sum * Spec::inv_hidden()'
bug wrong_divisor row_math.cuh 'fused_multiply_add(sum, Spec::inv_hidden(), eps)' \
  'fused_multiply_add(sum, 1.0f / (Spec::kHidden + 1), eps)'
bug eps_not_fused row_math.cuh 'fused_multiply_add(sum, Spec::inv_hidden(), eps)' \
  'sum * Spec::inv_hidden() + eps'
bug subnormals_are_zero row_math.cuh 'eps >= 0x1p-126f' 'eps > 0.0f'
bug zero_row_not_guarded row_math.cuh 'return m == 0.0f ? 0.0f : root;' 'return root;'
bug one_plus_forgotten row_math.cuh 'w = {1.0f + w.low, 1.0f + w.high};' ';'
bug weight_before_rounding row_math.cuh 'if constexpr (Spec::kRoundTwice) {' \
  'if constexpr (false) {'
bug rounds_twice_always row_math.cuh 'if constexpr (Spec::kRoundTwice) {' \
  'if constexpr (true) {'
bug h_not_rounded row_math.cuh 'if constexpr (Spec::kSumRounded) v = r_leaf.pair(i);' ''
bug stats_rounded row_math.cuh 'if constexpr (Spec::kSumRounded) v = r_leaf.pair(i);' \
  'v = r_leaf.pair(i);'

# --- the fixed sum ---
bug fma_replaced reduce.cuh 'fused_multiply_add(h[1], h[1], h[0] * h[0])' '(h[1] * h[1] + h[0] * h[0])'
bug one_chain_of_eight reduce.cuh 'return low + sum_of_four(h + 4);' \
  'float s = 0; for (int i = 0; i < 8; ++i) s = fused_multiply_add(h[i], h[i], s); return s;'
bug half_a_term reduce.cuh 'return low + shuffle_xor(low, 1);' 'return low;'
bug pair_joined_twice reduce.cuh 'mask >= 8 / Spec::kLeaf' 'mask > 0'
bug slots_in_sequence reduce.cuh \
  'return halving_sum<kFirst, 2 * kStep>(v) + halving_sum<kFirst + kStep, 2 * kStep>(v);' \
  'float s = 0; for (int i = 0; i < kCount; ++i) s += v[i]; return s;'
bug lanes_in_other_order reduce.cuh \
  'for (int mask = Spec::kLaneStride / 2; mask >= 8 / Spec::kLeaf; mask /= 2)' \
  'for (int mask = 8 / Spec::kLeaf; mask < Spec::kLaneStride; mask *= 2)'
bug read_lanes_in_sequence reduce.cuh 'return halving_sum(lanes);' \
  'float s = 0; for (int i = 0; i < Reads::kCount; ++i) s += lanes[i]; return s;'
bug missing_warp_barrier reduce.cuh 'warp_barrier();' ';'
bug last_shuffle_missing reduce.cuh 'mask >= 8 / Spec::kLeaf' 'mask > 8 / Spec::kLeaf'
bug missing_barrier reduce.cuh 'block_barrier();' ';'
bug barrier_of_first_warp reduce.cuh 'block_barrier();' 'if (thread_x() < 32) block_barrier();'
bug one_warp_tells_too_soon reduce.cuh '      block_barrier();
      return shared_load(partials.row);' '      return shared_load(partials.row);'
bug one_warp_reads_its_own reduce.cuh 'v = lanes_sum<Spec>(warps_sum<Spec>(partials.row));' \
  'v = lanes_sum<Spec>(v);'
bug scratch_of_first_row reduce.cuh 'Spec::kMaxRows == 1 ? 0 : thread_y() * Spec::kThreads' '0'

# --- what is asked for ahead ---
bug asks_past_the_weight rmsnorm.cuh 'Spec::kHidden * int{Spec::W::kBytes}' \
  '(Spec::kHidden + 16) * int{Spec::W::kBytes}'

# --- which element, which row ---
bug last_pack_skipped row_map.cuh 'leaf_index<Spec>(slot) < S::kFullLeaves);' 'leaf_index<Spec>(slot) < S::kFullLeaves - 1);'
bug tail_skipped row_io.cuh 'if (there && is_tail<Spec>(slot)) {' 'if (false) {'
bug tail_into_next_row row_io.cuh 'store_leaf<kPacked, S::kTail>' 'store_leaf<kPacked, Spec::kLeaf>'
bug row_off_by_one row_map.cuh 'at.token = block * Count{Spec::kMaxRows} + row;' \
  'at.token = block * Count{Spec::kMaxRows} + row + 1;'
bug idle_rows_work row_map.cuh 'at.there = at.token < tokens;' ';'
bug stands_in_for_none row_map.cuh 'at.token < tokens - 1 ? at.token : tokens - 1;' \
  'at.token < tokens ? at.token : tokens;'
bug stands_in_and_stores row_work.cuh 'there(kBranches || at.there)' \
  'there(kBranches || kStandIn || at.there)'
bug idle_rows_work_where_they_branch rmsnorm.cuh '!Work::kBranches || at.there' 'true'
bug idle_rows_store row_io.cuh 'there && is_whole<Spec>(slot)) store_leaf' \
  'is_whole<Spec>(slot)) store_leaf'
bug swapped_stride row_work.cuh 'p.y_token_stride, p.upper.y_token_stride' \
  'p.x_token_stride, p.upper.x_token_stride'
bug residual_out_stride row_work.cuh 'p.residual_out_token_stride, p.upper.residual_out_token_stride' \
  'p.residual_token_stride, p.upper.residual_token_stride'
bug head_stride_ignored row_work.cuh 'at.head * head_stride' 'at.head * (2 * Spec::kHidden)'
bug stride_of_32_bits row_map.cuh 'return kPacked ? lower : (u64{upper} << 32) | lower;' 'return lower;'
bug packed_reads_upper_halves row_map.cuh 'return kPacked ? lower : (u64{upper} << 32) | lower;' \
  'return (u64{upper} << 32) | lower;'
bug row_of_32_bits row_work.cuh 'at.token * token_stride' 'static_cast<u32>(at.token * token_stride)'
bug weight_of_first_slot row_work.cuh '(w, weight, slot, true);' '(w, weight, 0, true);'
bug heads_of_the_whole_block row_map.cuh '(row & ((1u << p.heads.shift) - 1))' 'row'
bug heads_by_the_shift row_map.cuh '(row & ((1u << p.heads.shift) - 1))' '(row & p.heads.shift)'
bug tokens_of_the_whole_block row_map.cuh 'block_y() * p.heads.block_tokens' \
  'block_y() * (p.heads.block_tokens << p.heads.shift)'
bug residual_not_stored row_work.cuh 'h, slot < S::kHeldSlots));' 'h, false));'
bug reread_stores_twice row_work.cuh 'h, slot < S::kHeldSlots));' 'h, true));'
bug stash_of_wrong_slot row_work.cuh '(slot - S::kRegisterSlots) * (Held::kWords / 4) + word / 4' \
  '(slot - S::kRegisterSlots) * (Held::kWords / 4)'

# --- unaligned rows ---
bug realigns_first_leaf row_map.cuh 'index > 0 && index + 1' 'index + 1'
bug realigns_last_leaf row_map.cuh 'index > 0 && index + 1 <' \
  'index > 0 && index <'
bug settled_as_elements row_io.cuh 'is_inner<Spec>(slot));' 'false);'
bug second_piece_skipped realign.cuh 'if (past != 0) load_piece' 'if (past > 8) load_piece'
bug first_lane_completes row_io.cuh 'lane == 0, last);' 'false, last);'
bug last_lane_leaves_rest row_io.cuh 'lane == kWarpThreads - 1 || index + 1' 'index + 1'
bug piece_shift_wrong realign.cuh '8 * (bytes & 3u)' '8 * (bytes & 1u)'

# --- clusters ---
bug blocks_of_a_row_swapped row_map.cuh 't / kWarpThreads * Spec::kCluster + block' \
  't / kWarpThreads + Spec::kThreads / kWarpThreads * block'
bug sends_before_all_run reduce.cuh 'cluster_wait();' ';'
bug reads_before_the_gate reduce.cuh 'wait_at_gate(mail.gate);' ';'
bug mail_into_one_cell reduce.cuh 'static_cast<int>(block_x() % kBlocks) * kWarpThreads + lane;' 'lane;'
bug one_block_not_told reduce.cuh 'first + warp < kBlocks' 'first + warp < kBlocks - 1'
bug gate_opens_early reduce.cuh 'kBytes = kBlocks * kWarpThreads * 4' 'kBytes = kBlocks * kWarpThreads * 2'
bug row_of_the_block row_map.cuh 'block_x() / Spec::kCluster' 'block_x()'

# --- PDL and the read-only path ---
bug no_wait_in_idle_rows rmsnorm.cuh '    pdl_wait();' \
  '    if (at.there) pdl_wait();'
bug trigger_before_wait rmsnorm.cuh '    pdl_wait();' \
  '    pdl_trigger(); pdl_wait();'
bug weight_before_wait rmsnorm.cuh 'Work::kWeightEarly && Spec::kConstantWeight' \
  'Work::kWeightEarly'
bug wait_without_pdl rmsnorm.cuh 'if constexpr (Spec::kPdl) {' 'if constexpr (true) {'
