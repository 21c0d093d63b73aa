// Coarsening of a network of links between the cells of a grid, as resistors in series and in parallel.
//
// A network has n unknowns. Link k of unknown i, `start[i] <= k < start[i + 1]`, leads to `index[k]` with the
// conductance `link[k]` along the axis `axis[k]`, and stands in the list of either end. (A u)_i = sum of link (u_i -
// u_j) + (the sum of e_i over the axes + s_i) u_i, e the Dirichlet terms of each axis, s the reaction.
//
// A coarse unknown is a group of unknowns that strong links connect. These kernels run once for an operator, in the
// order of the unknowns, each in one pass over the links: 13 bytes a link in double precision.
#include "host.h"

// The links of a padded grid, its unknowns numbered by `number` (-1 elsewhere), of conductance 1 without `offdiag`.
// With `index` of no entries wanted (`fill` 0) only `start` is set.
// Instances (host): <double, false|true>
template <typename T, bool VARIABLE>
SCI_KERNEL grid_links(SCI_INDEX const int* number /*[p0, p1, p2]*/, const T* offdiag /*[3, q0, q1, q2]*/,
                      i64* start /*[ends]*/, int* index /*[m]*/, T* link /*[m]*/, signed char* axis /*[m]*/,
                      const i64 p0, const i64 p1, const i64 p2, const i64 fill) {
    const i64 step[3] = {p1 * p2, p2, 1}, size = p0 * p1 * p2;
    i64 count = 0, row = 0;
    start[0] = 0;
    for (i64 i = 1; i < p0 - 1; ++i)
        for (i64 j = 1; j < p1 - 1; ++j)
            for (i64 k = 1; k < p2 - 1; ++k) {
                const i64 at = (i * p1 + j) * p2 + k;
                if (number[at] != row) continue;
                for (int side = 0; side < 6; ++side) {
                    const int a = side >> 1;
                    const i64 other = at + ((side & 1) ? step[a] : -step[a]);
                    const T weight = VARIABLE ? offdiag[a * size + ((side & 1) ? other : at)] : T(1);
                    if (number[other] < 0 || !(weight > 0)) continue;
                    if (fill) {
                        index[count] = number[other];
                        link[count] = weight;
                        axis[count] = (signed char)a;
                    }
                    ++count;
                }
                start[++row] = count;
            }
}

// Which links are strong, g >= theta sqrt(m_i m_j), m the largest link of an unknown; which unknowns get no coarse one,
// since 10 times their links do not exceed their other terms; and of each axis how many links there are and are strong.
// Instances (host): <double>
template <typename T>
SCI_KERNEL strong_links(SCI_INDEX const i64* start /*[ends]*/, const int* index /*[m]*/, const T* link /*[m]*/,
                        const signed char* axis /*[m]*/, const T* rest /*[n]*/, signed char* dropped /*[n]*/,
                        T* largest /*[n]*/, signed char* strong /*[m]*/, i64* counts /*[2, 3]*/, const i64 n,
                        const double theta) {
    for (i64 i = 0; i < n; ++i) {
        T sum = 0;
        for (i64 k = start[i]; k < start[i + 1]; ++k) sum += link[k];
        dropped[i] = 10 * sum <= rest[i];
    }
    for (i64 i = 0; i < n; ++i) {
        T most = 0;
        for (i64 k = start[i]; k < start[i + 1]; ++k)
            if (!dropped[index[k]] && link[k] > most) most = link[k];
        largest[i] = dropped[i] ? T(0) : most;
    }
    for (i64 i = 0; i < n; ++i)
        for (i64 k = start[i]; k < start[i + 1]; ++k) {
            const i64 j = index[k];
            // By roots of both, whose product neither overflows nor vanishes.
            const bool is = !dropped[i] && !dropped[j] && link[k] >= theta * sqrt(largest[i]) * sqrt(largest[j]);
            strong[k] = is;
            counts[axis[k]] += !dropped[i] && !dropped[j];
            counts[3 + axis[k]] += is;
        }
}

// Joins pairs of groups along axis `a`: each group that has no partner yet takes the one with the largest sum of strong
// links to it. `group` names the first unknown of the group of each unknown, `next` the following one of its group or
// -1. Partners are in the same pair of cells, `place` / 2, and then (`anywhere`) wherever they are. `merged` becomes the
// sum of the links of each unknown to its group's partner.
// Instances (host): <double>
template <typename T>
SCI_KERNEL pair_groups(SCI_INDEX const i64* start /*[ends]*/, const int* index /*[m]*/, const T* link /*[m]*/,
                       const signed char* axis /*[m]*/, const signed char* strong /*[m]*/,
                       const signed char* dropped /*[n]*/, const int* place /*[n]*/, int* group /*[n]*/,
                       int* next /*[n]*/, int* tail /*[n]*/, int* size /*[n]*/, signed char* paired /*[n]*/,
                       T* sums /*[n]*/, T* merged /*[n]*/, const i64 n, const i64 a, const i64 anywhere,
                       const i64 most) {
    for (i64 i = 0; i < n; ++i) {
        paired[i] = 0;
        sums[i] = 0;
        merged[i] = 0;
    }
    for (i64 phase = 0; phase <= anywhere; ++phase)
        for (i64 head = 0; head < n; ++head) {
            if (group[head] != head || dropped[head] || paired[head]) continue;
            i64 best = -1;
            for (i64 i = head; i >= 0; i = next[i])
                for (i64 k = start[i]; k < start[i + 1]; ++k) {
                    const i64 j = index[k], other = group[j];
                    if (!strong[k] || axis[k] != a || other == head || paired[other]) continue;
                    if (phase == 0 && (place[j] >> 1) != (place[i] >> 1)) continue;
                    if (size[head] + size[other] > most) continue;
                    sums[other] += link[k];
                }
            for (i64 i = head; i >= 0; i = next[i])
                for (i64 k = start[i]; k < start[i + 1]; ++k) {
                    const i64 other = group[index[k]];
                    if (!(sums[other] > 0)) continue;
                    if (best < 0 || sums[other] > sums[best] || (sums[other] == sums[best] && other < best)) best = other;
                }
            for (i64 i = head; i >= 0; i = next[i])
                for (i64 k = start[i]; k < start[i + 1]; ++k) sums[group[index[k]]] = 0;
            if (best < 0) continue;
            for (i64 i = head; i >= 0; i = next[i])
                for (i64 k = start[i]; k < start[i + 1]; ++k)
                    if (axis[k] == a && group[index[k]] == best) {
                        merged[i] += link[k];
                        merged[index[k]] += link[k];
                    }
            const i64 first = head < best ? head : best, second = head < best ? best : head;
            paired[first] = paired[second] = 1;
            for (i64 i = second; i >= 0; i = next[i]) group[i] = int(first);
            next[tail[first]] = int(second);
            tail[first] = tail[second];
            size[first] += size[second];
        }
}

// Single unknowns without a strong link join the group of their largest link, in the order given; never that of another
// one that did so.
// Instances (host): <double>
template <typename T>
SCI_KERNEL attach_singles(SCI_INDEX const i64* start /*[ends]*/, const int* index /*[m]*/, const T* link /*[m]*/,
                          const signed char* dropped /*[n]*/, const i64* order /*[singles]*/, int* group /*[n]*/,
                          signed char* attached /*[n]*/, const i64 singles) {
    for (i64 s = 0; s < singles; ++s) {
        const i64 i = order[s];
        i64 best = -1;
        for (i64 k = start[i]; k < start[i + 1]; ++k)
            if (!dropped[index[k]] && (best < 0 || link[k] > link[best])) best = k;
        if (best < 0 || attached[index[best]]) continue;
        group[i] = group[index[best]];
        attached[i] = 1;
    }
}

// x / (1 + |x|).
template <typename T>
SCI_DEVICE T bent(const T x) {
    return x / (1 + (x < 0 ? -x : x));
}

// The resistance along each axis from an unknown to the middle of its group: half of that of the links `merged` that
// joined it along the axis, times a factor of exp(+-HALF) at most. One that no link joined, in a group that extends
// along the axis, is beside its middle as well, and the current goes through links along other axes: a factor of at most
// MIDDLE over their sum. Both factors follow from `numbers` and five features of the unknown, which vanish inside of
// uniform matter. An `attached` unknown has that of its largest link.
//
// `counts` holds zeros and becomes the number of members of each group that a link joined along an axis, at its first
// unknown; `most` is the number of unknowns of a full group.
// Instances (host): <double>
template <typename T>
SCI_KERNEL group_resistances(SCI_INDEX const i64* start /*[ends]*/, const T* link /*[m]*/,
                             const signed char* strong /*[m]*/, const T* rest /*[n]*/, const int* group /*[n]*/,
                             const int* size /*[n]*/, const T* largest /*[n]*/, const signed char* attached /*[n]*/,
                             const T* merged /*[3, n]*/, i64* counts /*[3, n]*/, T* resistance /*[3, n]*/,
                             const T* numbers /*[11]*/, const i64 n, const i64 most, const i64 links,
                             const double middle, const double half) {
    for (i64 a = 0; a < 3; ++a)
        for (i64 i = 0; i < n; ++i) counts[a * n + group[i]] += merged[a * n + i] > 0;
    for (i64 i = 0; i < n; ++i) {
        if (attached[i]) {
            for (i64 a = 0; a < 3; ++a) resistance[a * n + i] = 1 / largest[i];
            continue;
        }
        T sum = 0, held = 0, own = 0;
        i64 count = 0;
        for (i64 k = start[i]; k < start[i + 1]; ++k) {
            sum += link[k];
            count += strong[k];
            if (strong[k]) held += link[k];
        }
        for (i64 a = 0; a < 3; ++a) own += merged[a * n + i];
        const i64 head = group[i];
        const T open = T(links - count) / T(links), full = T(size[head]) / T(most);
        const T x[4] = {open > 0 ? open : T(0), sum > 0 ? 1 - held / sum : T(0),
                        sum > 0 ? rest[i] / (sum + rest[i]) : T(0), 1 - full};
        for (i64 a = 0; a < 3; ++a) {
            const T joined = merged[a * n + i], aside = 1 - T(counts[a * n + head]) / T(size[head]);
            T r = 0;
            if (joined > 0) {
                T y = numbers[6] * aside;
                for (int f = 0; f < 4; ++f) y += numbers[7 + f] * x[f];
                r = T(0.5) / joined * (1 + T(half) * bent(y)) / (1 - T(half) * bent(y));
            } else if (own > 0 && counts[a * n + head] > 0) {
                T y = numbers[0] + numbers[1] * aside;
                for (int f = 0; f < 4; ++f) y += numbers[2 + f] * x[f];
                r = y > 0 ? T(middle) * bent(y) / own : T(0);
            }
            resistance[a * n + i] = r;
        }
    }
}

// The coarse network: a link of two groups along an axis is the sum over the fine ones of 1 / (1/g + r_i + r_j), r the
// resistance from an unknown to the middle of its group along that axis. The members of a group are `begins[I] <= k <
// begins[I + 1]` of `member`. `mark` holds -1.
// Instances (host): <double>
template <typename T>
SCI_KERNEL coarse_links(SCI_INDEX const i64* start /*[ends]*/, const int* index /*[m]*/, const T* link /*[m]*/,
                        const signed char* axis /*[m]*/, const signed char* dropped /*[n]*/, const int* group /*[n]*/,
                        const T* resistance /*[3, n]*/, const T* fixed /*[3, n]*/, const T* reaction /*[n]*/,
                        const i64* begins /*[groupends]*/, const int* member /*[members]*/, i64* mark /*[groups, 3]*/,
                        i64* cstart /*[groupends]*/, int* cindex /*[m]*/, T* clink /*[m]*/,
                        signed char* caxis /*[m]*/, T* cfixed /*[3, groups]*/, T* creaction /*[groups]*/, const i64 n,
                        const i64 groups) {
    i64 count = 0;
    cstart[0] = 0;
    for (i64 big = 0; big < groups; ++big) {
        const i64 begin = count;
        for (i64 q = begins[big]; q < begins[big + 1]; ++q) {
            const i64 i = member[q];
            creaction[big] += reaction[i];
            for (i64 a = 0; a < 3; ++a)
                cfixed[a * groups + big] += fixed[a * n + i] / (1 + fixed[a * n + i] * resistance[a * n + i]);
            for (i64 k = start[i]; k < start[i + 1]; ++k) {
                const i64 j = index[k], a = axis[k];
                const T own = resistance[a * n + i];
                if (dropped[j]) {
                    cfixed[a * groups + big] += link[k] / (1 + link[k] * own);
                    continue;
                }
                const i64 other = group[j];
                if (other == big) continue;
                i64& place = mark[3 * other + a];
                if (place < begin) {
                    place = count;
                    cindex[count] = int(other);
                    caxis[count] = (signed char)a;
                    clink[count++] = 0;
                }
                clink[place] += link[k] / (1 + link[k] * (own + resistance[a * n + j]));
            }
        }
        // Sums in another order differ in their last bit: the list of the earlier end counts for both.
        for (i64 k = begin; k < count; ++k)
            if (cindex[k] < big)
                for (i64 l = cstart[cindex[k]]; l < cstart[cindex[k] + 1]; ++l)
                    if (cindex[l] == big && caxis[l] == caxis[k]) clink[k] = clink[l];
        cstart[big + 1] = count;
    }
}

// The entries of the interpolation of an unknown that is not attached: `own` of the value of its group and the rest from
// those of the unknowns that strong links lead to.
template <typename T, typename F>
SCI_DEVICE void interpolated(const i64* start, const int* index, const T* link, const signed char* strong,
                             const signed char* dropped, const int* group, const T* fixed, const T own, const i64 i,
                             const T factor, const F& add) {
    if (dropped[i]) return;
    T sum = fixed[i];
    bool any = fixed[i] > 0;
    for (i64 k = start[i]; k < start[i + 1]; ++k) {
        if (dropped[index[k]]) sum += link[k];
        any = any || dropped[index[k]] || strong[k];
        if (strong[k]) sum += link[k];
    }
    add(group[i], any ? own * factor : factor);
    for (i64 k = start[i]; k < start[i + 1]; ++k)
        if (strong[k]) add(group[index[k]], (1 - own) * factor * (link[k] / sum));
}

// The interpolation, row by row, entries of one column added up; `fixed` is the sum of the Dirichlet terms, `diagonal`
// that of all terms. An attached unknown has the mean of its neighbors by their links. `mark` holds -1. Without `fill`
// only `pstart` is set.
// Instances (host): <double>
template <typename T>
SCI_KERNEL interpolation_rows(SCI_INDEX const i64* start /*[ends]*/, const int* index /*[m]*/, const T* link /*[m]*/,
                              const signed char* strong /*[m]*/, const signed char* dropped /*[n]*/,
                              const signed char* attached /*[n]*/, const int* group /*[n]*/, const T* fixed /*[n]*/,
                              const T* diagonal /*[n]*/, i64* mark /*[groups]*/, i64* pstart /*[ends]*/,
                              int* pindex /*[entries]*/, T* pvalue /*[entries]*/, const i64 n, const i64 groups,
                              const double own, const i64 fill) {
    i64 count = 0;
    pstart[0] = 0;
    for (i64 i = 0; i < n; ++i) {
        const i64 begin = count;
        const auto add = [&](const i64 column, const T value) {
            if (mark[column] < begin) {
                mark[column] = count;
                if (fill) {
                    pindex[count] = int(column);
                    pvalue[count] = 0;
                }
                ++count;
            }
            if (fill) pvalue[mark[column]] += value;
        };
        if (!attached[i])
            interpolated(start, index, link, strong, dropped, group, fixed, T(own), i, T(1), add);
        else
            for (i64 k = start[i]; k < start[i + 1]; ++k)
                interpolated(start, index, link, strong, dropped, group, fixed, T(own), index[k],
                             T(link[k] / diagonal[i]), add);
        pstart[i + 1] = count;
    }
}

// Eliminates unknowns with at most two links, one after the other, until there are none. `length` becomes the number of
// links of those that stay, -1 of others; their lists are changed in place, and links between the same two unknowns
// joined. `order` becomes the `done[0]` that went, `near` the ends of their links, or -1, and `share` the conductances of
// both over the sum of all terms, and the inverse of that sum.
// Instances (host): <double>
template <typename T>
SCI_KERNEL eliminate_chains(SCI_INDEX const i64* start /*[ends]*/, int* index /*[m]*/, T* link /*[m]*/,
                            signed char* axis /*[m]*/, T* fixed /*[3, n]*/, T* reaction /*[n]*/, int* length /*[n]*/,
                            int* order /*[n]*/, int* near /*[n, 2]*/, T* share /*[n, 3]*/, int* queue /*[n]*/,
                            signed char* queued /*[n]*/, i64* done /*[1]*/, const i64 n) {
    // Joins links to the same unknown.
    for (i64 i = 0; i < n; ++i) {
        const i64 begin = start[i];
        i64 count = 0;
        for (i64 k = begin; k < start[i + 1]; ++k) {
            i64 l = begin;
            while (l < begin + count && index[l] != index[k]) ++l;
            if (l < begin + count) {
                if (link[k] > link[l]) axis[l] = axis[k];
                link[l] += link[k];
            } else {
                index[l] = index[k];
                link[l] = link[k];
                axis[l] = axis[k];
                ++count;
            }
        }
        length[i] = int(count);
    }
    const auto find = [&](const i64 i, const i64 j) {
        i64 k = start[i];
        while (k < start[i] + length[i] && index[k] != j) ++k;
        return k < start[i] + length[i] ? k : i64(-1);
    };
    const auto remove = [&](const i64 i, const i64 k) {
        const i64 end = start[i] + --length[i];
        index[k] = index[end];
        link[k] = link[end];
        axis[k] = axis[end];
    };
    i64 head = 0, tail = 0, count = 0;
    // A ring: an unknown is in it once at most.
    const auto offer = [&](const i64 i) {
        if (length[i] > 2 || length[i] < 0 || queued[i]) return;
        queue[tail++ % n] = int(i);
        queued[i] = 1;
    };
    for (i64 i = 0; i < n; ++i) offer(i);
    while (head < tail) {
        const i64 i = queue[head++ % n], k = start[i];
        queued[i] = 0;
        if (length[i] > 2 || length[i] < 0) continue;
        const int links = length[i];
        const T own = fixed[i] + fixed[n + i] + fixed[2 * n + i] + reaction[i];
        T d = own;
        for (int l = 0; l < links; ++l) d += link[k + l];
        order[count] = int(i);
        for (int l = 0; l < 2; ++l) {
            near[2 * count + l] = l < links ? index[k + l] : -1;
            share[3 * count + l] = l < links ? link[k + l] / d : T(0);
        }
        share[3 * count + 2] = d > 0 ? 1 / d : T(0);
        for (int l = 0; l < links; ++l) {
            const i64 j = index[k + l];
            if (own > 0) fixed[axis[k + l] * n + j] += share[3 * count + l] * own;
            remove(j, find(j, i));
        }
        if (links == 2) {
            const i64 j = index[k], h = index[k + 1];
            const T through = link[k] * share[3 * count + 1];
            const signed char label = link[k] <= link[k + 1] ? axis[k] : axis[k + 1];
            for (int l = 0; l < 2; ++l) {
                const i64 from = l ? h : j, to = l ? j : h, at = find(from, to);
                if (at >= 0) {
                    if (through > link[at]) axis[at] = label;
                    link[at] += through;
                } else {
                    const i64 end = start[from] + length[from]++;
                    index[end] = int(to);
                    link[end] = through;
                    axis[end] = label;
                }
            }
        }
        length[i] = -1;
        ++count;
        for (int l = 0; l < links; ++l) offer(index[k + l]);
    }
    done[0] = count;
}

// Moves the right-hand side of eliminated unknowns to their neighbors, in order.
// Instances (host): <double>
template <typename T>
SCI_KERNEL eliminate_source(SCI_INDEX const int* order /*[count]*/, const int* near /*[count, 2]*/,
                            const T* share /*[count, 3]*/, T* f /*[n]*/, const i64 count) {
    for (i64 q = 0; q < count; ++q)
        for (int l = 0; l < 2; ++l)
            if (near[2 * q + l] >= 0) f[near[2 * q + l]] += share[3 * q + l] * f[order[q]];
}

// Sets eliminated unknowns from their neighbors, in reverse order.
// Instances (host): <double>
template <typename T>
SCI_KERNEL eliminated_values(SCI_INDEX const int* order /*[count]*/, const int* near /*[count, 2]*/,
                             const T* share /*[count, 3]*/, const T* f /*[n]*/, T* u /*[n]*/, const i64 count) {
    for (i64 q = count - 1; q >= 0; --q) {
        T value = share[3 * q + 2] * f[order[q]];
        for (int l = 0; l < 2; ++l)
            if (near[2 * q + l] >= 0) value += share[3 * q + l] * u[near[2 * q + l]];
        u[order[q]] = value;
    }
}
