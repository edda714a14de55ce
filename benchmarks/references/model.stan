// The joint model in Stan. Parameters, their transformed ones and the priors' numbers are put in from
// the priors' file by stan_model.py, so that names and families are those of the program.
data {
  int L; int T; int Y; int S; int W; int P; int A;  // latents, months, years, states, their years, printed, ahead
  int centred;
  real innovation_df; real slow_step; vector[L - 1] theatre_scale_full;
  matrix[Y + 1, T] spread;  // steps of the slow level to months
  matrix[T, Y] yearly_mean;
  matrix[Y, Y] years_before;
  int n_items; int n_news; int n_annual; int n_transfer; int n_troops; real memory_max;
  array[n_news] int anchor_first; vector[n_items] sign; vector[n_items] df;
  int n_readings; array[n_readings] int reading_item; array[n_readings] int reading_index;
  array[n_readings] int reading_index_previous; vector[n_readings] reading_y;
  vector[n_readings] reading_y_previous; vector[n_readings] reading_linked;
  int n_counted; vector[n_counted] count_log_mean; array[n_counted] int count_group;
  int n_counts; array[n_counts] int count_item; array[n_counts] int count_index;
  array[n_counts] int count_index_previous; array[n_counts] int count_y; vector[n_counts] count_log_exposure;
  vector[n_counts] count_trend_row; vector[n_counts] count_log_rate_previous; vector[n_counts] count_linked;
  int n_shares; array[n_shares] int share_item; array[n_shares] int share_index;
  array[n_shares] int share_k; array[n_shares] int share_n;
  int n_ranked; array[n_ranked] int ordinal_index; array[n_ranked] int ordinal_level;
  array[L - 1] int ordinal_first; array[L - 1] int ordinal_last;
  int n_hurdles; array[n_hurdles] int hurdle_item; array[n_hurdles] int hurdle_index;
  array[n_hurdles] int hurdle_z;
  int n_stocks; int n_report_months; int stock_theatre; int n_reports; real stock_miss;
  array[n_reports] int stock_stock; array[n_reports] int stock_month; array[n_reports] int stock_source;
  vector[n_reports] stock_low; vector[n_reports] stock_high;
  matrix[S, W] growth; matrix[S, W] printed; matrix[S, W] newest; real revisable; matrix[S, W] gdp;
  matrix[S, W] weight; matrix[S, L - 1] exposure; matrix[S, S] rivals; int first_year; int later_years;
  matrix[W, W] running; matrix[W, W] fading; real growth_df; real revision_df; real announcement_df;
  int n_steps; array[n_steps] int step_state; array[n_steps] int step_year; vector[n_steps] step_growth;
  int n_revisions; array[n_revisions] int revision_of; vector[n_revisions] revision_step;
  int n_ages; array[n_ages] int late_trials; array[n_ages] int late_changed;
  int n_late; vector[n_late] late_size;
  int n_budgets; array[n_budgets] int budget_of; array[n_budgets] int budget_slot; vector[n_budgets] budget_ahead;
  vector[n_budgets] budget_first_print; vector[n_budgets] budget_value; vector[n_budgets] budget_doubt;
  vector[n_budgets] budget_half_width;
  int n_programmes; array[n_programmes] int programme_of; array[n_programmes] int programme_slot;
  array[n_programmes] int programme_year; vector[n_programmes] programme_ahead;
  vector[n_programmes] programme_first_print; vector[n_programmes] programme_value;
  // PRIORS: data
}
parameters {
  // PRIORS: parameters
}
model {
  // PRIORS: model
  to_vector(innovation) ~ student_t(innovation_df, 0, sqrt((innovation_df - 2) / innovation_df));
  to_vector(slow_innovation) ~ std_normal();
  matrix[L, T] eta;
  {
    matrix[L, T] path;
    vector[L] persistence = append_row(phi, phi_global);
    for (k in 1:L) {
      real keep = persistence[k];
      row_vector[T] moved = sqrt(1 - keep * keep) * innovation[k];
      path[k, 1] = innovation[k, 1];
      for (t in 2:T) path[k, t] = keep * path[k, t - 1] + moved[t];
    }
    vector[L - 1] world = theatre_scale_full .* sqrt(global_share);
    vector[L - 1] own = theatre_scale_full .* sqrt(1 - global_share);
    eta[1:(L - 1)] = world * path[L] + diag_pre_multiply(own, path[1:(L - 1)])
                     + slow_step * (slow_innovation * spread);
    eta[L] = path[L];
    for (k in 1:L) eta[k] -= mean(eta[k, 1:centred]);
  }
  matrix[L, Y] yearly = eta * yearly_mean;
  vector[L * (T + 2 * Y)] flat = append_row(append_row(to_vector(eta'), to_vector(yearly')),
                                            to_vector((yearly * years_before)'));
  {
    vector[n_items] loading = sign .* append_row(
      append_row(append_row(anchor_loading, news_loading)[anchor_first], annual_loading),
      append_row(rep_vector(transfer_loading, n_transfer), troop_loading));
    vector[n_items] intercept = append_row(append_row(news_intercept, annual_intercept),
                                           append_row(transfer_intercept, troop_intercept));
    vector[n_items] noise = append_row(append_row(news_noise, annual_noise), append_row(transfer_noise, troop_noise));
    vector[n_items] rho = append_row(memory_max * append_row(news_persistence, annual_persistence),
                                     rep_vector(0, n_transfer + n_troops));
    vector[n_items] wide = noise ./ sqrt(1 - square(rho));
    vector[n_readings] a = intercept[reading_item];
    vector[n_readings] b = loading[reading_item];
    vector[n_readings] carried = reading_linked .* rho[reading_item]
                                 .* (reading_y_previous - a - b .* flat[reading_index_previous]);
    reading_y ~ student_t(df[reading_item], a + b .* flat[reading_index] + carried,
                          reading_linked .* noise[reading_item] + (1 - reading_linked) .* wide[reading_item]);
  }
  {
    vector[n_counts] a = (count_intercept + count_log_mean)[count_item];
    vector[n_counts] b = count_loading[count_group][count_item];
    vector[n_counts] surprise = count_log_rate_previous - a - b .* flat[count_index_previous];
    count_y ~ neg_binomial_2_log(a + b .* flat[count_index] + count_trend * count_trend_row + count_log_exposure
                                 + memory_max * count_memory * count_linked .* surprise,
                                 count_dispersion[count_item]);
  }
  {
    vector[n_shares] chance = inv_logit(share_intercept[share_item]
                                        + share_loading[share_item] .* flat[share_index]);
    vector[n_shares] total = share_concentration[share_item];
    share_k ~ beta_binomial(share_n, total .* chance, total .* (1 - chance));
  }
  for (k in 1:(L - 1)) {
    int from = ordinal_first[k];
    int to = ordinal_last[k];
    vector[2] cut = [-logit(ladder_any[k]), -logit(ladder_any[k] * ladder_force[k])]';
    if (to >= from)
      ordinal_level[from:to] ~ ordered_logistic(ladder_slope[k] * flat[ordinal_index[from:to]], cut);
  }
  hurdle_z ~ bernoulli_logit(hurdle_intercept[hurdle_item] + hurdle_loading * flat[hurdle_index]);
  {
    to_vector(stock_innovation) ~ std_normal();
    to_vector(stock_miss_innovation) ~ std_normal();
    int from = T - n_report_months;
    matrix[n_stocks, n_report_months] stock;
    for (k in 1:n_stocks) {
      stock[k, 1] = stock_start[k];
      for (t in 2:n_report_months)
        stock[k, t] = stock[k, t - 1] + stock_step[k] * stock_innovation[k, t] + stock_drift[k]
                      + stock_threat[k] * (eta[stock_theatre, from + t - 1] - eta[stock_theatre, from + 1]);
    }
    stock += stock_miss * stock_miss_innovation;
    for (i in 1:n_reports) {
      real reported = stock[stock_stock[i], stock_month[i]] + stock_body[stock_source[i]];
      real high = (stock_high[i] - reported) / stock_noise;
      real low = (stock_low[i] - reported) / stock_noise;
      // log_diff_exp of logistic_lcdf is minus infinity where both ends are far up.
      target += high + log1m_exp(low - high) - log1p_exp(high) - log1p_exp(low);
    }
  }
  {
    to_vector(growth_level_innovation) ~ std_normal();
    to_vector(growth_scale_innovation) ~ std_normal();
    matrix[S, W] level = growth_level_innovation * running;
    matrix[S, W] quiet = growth_scale_innovation * fading;
    for (s in 1:S) {
      level[s] = growth_mean[s] + growth_drift * growth_noise[s] * (level[s] - dot_product(weight[s], level[s]));
      quiet[s] -= dot_product(weight[s], quiet[s]);
    }
    matrix[S, W] unrest = exp(growth_noise_step * quiet);
    matrix[S, W] scale = diag_pre_multiply(growth_noise, unrest);
    vector[S] revision_wide = revision_scale * revision_state;
    revision_step ~ student_t(revision_df, 0, revision_wide[revision_of]);
    late_changed ~ binomial(late_trials, late_revision_chance);
    late_size ~ student_t(revision_df, 0, late_revision_size);
    revision_innovation ~ std_normal();
    revision_precision_innovation ~ gamma(revision_df / 2, revision_df / 2);
    to_vector(growth_innovation) ~ std_normal();
    to_vector(growth_precision_innovation) ~ gamma(growth_df / 2, growth_df / 2);
    to_vector(forward_revision_innovation) ~ std_normal();
    to_vector(forward_revision_precision_innovation) ~ gamma(revision_df / 2, revision_df / 2);
    vector[S] revision = revisable * revision_innovation ./ sqrt(revision_precision_innovation) .* revision_wide;
    matrix[S, W] threat = append_col(exposure * yearly[1:(L - 1), (first_year + 1):Y], rep_matrix(0, S, later_years));
    matrix[S, W] push = gdp_slope * gdp + diag_pre_multiply(threat_slope, threat);
    matrix[S, W] gap = growth + (1 - printed) .* level + diag_pre_multiply(revision, newest) - level;
    matrix[S, W] answer = diag_pre_multiply(growth_persistence, gap) + reaction * (rivals * gap) + push;
    vector[n_steps] expected;
    vector[n_steps] step_scale;
    for (i in 1:n_steps) {
      int s = step_state[i];
      int w = step_year[i];
      expected[i] = level[s, w + 1] + answer[s, w] - newest[s, w + 1] * revision[s];
      step_scale[i] = scale[s, w + 1];
    }
    step_growth ~ student_t(growth_df, expected, step_scale);
    matrix[S, A] first_print;
    vector[S] last = gap[, P];
    for (k in 1:A) {
      last = growth_persistence .* last + reaction * (rivals * last) + push[, P + k - 1]
             + scale[, P + k] .* growth_innovation[, k] ./ sqrt(growth_precision_innovation[, k]);
      first_print[, k] = level[, P + k] + last - revisable * revision_wide
                         .* forward_revision_innovation[, k] ./ sqrt(forward_revision_precision_innovation[, k]);
    }
    for (i in 1:n_budgets) {
      int s = budget_of[i];
      real goal = budget_ahead[i] > 0 ? first_print[s, budget_slot[i]] : budget_first_print[i];
      real far = sqrt(square(budget_noise[s] * (1 + budget_doubt[i])) + square(budget_half_width[i]));
      budget_value[i] ~ student_t(announcement_df, goal + budget_bias[s], far);
    }
    for (i in 1:n_programmes) {
      int s = programme_of[i];
      real goal = programme_ahead[i] > 0 ? first_print[s, programme_slot[i]] : programme_first_print[i];
      programme_value[i] ~ student_t(announcement_df, goal + programme_bias[s],
                                     programme_noise[s] * unrest[s, programme_year[i]]);
    }
  }
}
